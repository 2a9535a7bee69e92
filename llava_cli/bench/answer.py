# SPDX-License-Identifier: Apache-2.0
"""`llava bench answer`: each stage of an answer beside the least that this machine needs, and plain transformers."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal, cast

import torch

from llava_cli.answer import Prepared
from llava_cli.bench import plain
from llava_cli.bench.chart import Bar, Chart
from llava_cli.bench.floors import Speed, measure, operations, synchronize, timed
from llava_cli.bench.host import describe
from llava_cli.bench.memory import begin_peak, memory_of
from llava_cli.bench.peers import as_shown
from llava_cli.bench.report import UNKNOWN, Report, ratio, seconds, times
from llava_cli.engine.local import LocalEngine
from llava_cli.engine.memory import GIB
from llava_cli.engine.types import Completion
from llava_cli.media.clip import Clip
from llava_cli.request import Request
from llava_cli.session import Session

LIBRARIES = ("torch", "transformers", "av", "bitsandbytes")

Unit = Literal["s", "tokens/s", "bytes"]


@dataclass(frozen=True)
class Stage:
    """One figure of an answer, and what it is held beside."""

    name: str
    unit: Unit
    ours: float | None
    floor: float | None = None
    """The least that it can be on this machine; of tokens a second, the most."""
    plain: float | None = None
    """The same of plain transformers."""

    @property
    def over_floor(self) -> float | None:
        """How many times the floor: 1 is as good as can be."""
        return ratio(self.floor, self.ours) if self.unit == "tokens/s" else ratio(self.ours, self.floor)

    @property
    def gain(self) -> float | None:
        """How many times better than plain transformers."""
        return ratio(self.ours, self.plain) if self.unit == "tokens/s" else ratio(self.plain, self.ours)

    def row(self) -> dict[str, Any]:
        return {
            "stage": self.name,
            "unit": self.unit,
            "llava": self.ours,
            "floor": self.floor,
            "transformers": self.plain,
            "over_floor": self.over_floor,
            "gain": self.gain,
        }

    def cells(self) -> list[str]:
        figures = (_figure(value, self.unit) for value in (self.ours, self.floor, self.plain))
        ours, floor, other = figures
        return [self.name, ours, floor, times(self.over_floor), other, times(self.gain)]


HEAD = ["", "llava", "floor", "of the floor", "transformers", "gain"]


def bench_answer(
    session: Session,
    request: Request,
    batch: int,
    runs: int,
    command: str,
    name: str = "answer",
    told: Callable[[str], None] = lambda stage: None,
) -> Report:
    """Measure the answer to a request about one video.

    Args:
        batch: how often the same question is asked at once, if memory allows.
        runs: medians are of so many, ours and others' in turns.
        told: called with what is being done.
    """
    host = describe(LIBRARIES)
    engine = cast(LocalEngine, session.engine)
    told("decoding")
    prepared, decode_s = _decoded(session, request, runs)
    (path,), (clip,) = request.names, prepared.media
    sampling = session.view(request).sampling
    device, dtype = str(engine.model.device), engine.model.dtype
    plain_decode = _median(timed(lambda: _read_plainly(path, sampling), "cpu") for _ in range(runs))
    told("measuring the machine")
    speed = measure(device, dtype)
    batch = _fitting(session, prepared, batch)
    told("answering")
    alone = _Asked(engine, prepared, 1, runs)
    together = _Asked(engine, prepared, batch, runs) if batch > 1 else None
    embedding = engine.embed(_prompt(prepared))
    encode = speed.compute_s(operations(lambda: engine.embed(_prompt(prepared))))
    prefill = speed.compute_s(operations(partial(_prefill, engine, embedding)))
    weights = float(sum(_sizes(engine.model).values()))
    stages = [
        Stage("load", "s", alone.completion.timing.load_s, speed.load_s(weights)),
        Stage("decode", "s", decode_s, None, plain_decode),
        Stage("encode", "s", alone.encode_s, encode),
        Stage("prefill", "s", alone.first_token_s, prefill, alone.plain_first_s),
    ]
    read = float(read_each_token(engine.model))
    for one in filter(None, (alone, together)):
        stages += _generation_stages(session, prepared, one, read, weights, speed)
    info = engine.info
    frames = len(clip.frames) if isinstance(clip, Clip) else 0
    notes = [
        f"{info.quantization or info.dtype} on {info.device}: {speed}, measured here. {frames} frames, "
        f"{prepared.tokens} prompt tokens, {len(alone.completion.ids)} new ones; medians of {runs} runs.",
        "Floors: for each token, every weight of the language model and all keys and values are read once; matrix "
        "products of encoding and prefill, without attention's own, run at the measured rate; weights are brought to "
        "the device once.",
        "transformers is its own `generate`, greedy, given the same prompt as embeddings; its decoding is the model "
        f"cards' loop. {_sameness(alone)}",
    ]
    title = f"An answer of {Path(info.checkpoint).name}{' (random weights)' if info.dummy else ''}"
    return Report(
        name,
        title,
        host,
        command,
        [stage.row() for stage in stages],
        [[HEAD, *(stage.cells() for stage in stages)]],
        notes,
        _chart(title, stages),
    )


class _Asked:
    """The same question so many times at once, answered by us and by transformers in turns."""

    def __init__(self, engine: LocalEngine, prepared: Prepared, batch: int, runs: int) -> None:
        self.batch = batch
        query, device = prepared.query, str(engine.model.device)
        self.completion = engine.answer([query] * batch)[0]  # not timed: what is only done once
        count = len(self.completion.ids)
        embeddings = engine.embed(_prompt(prepared))[None].expand(batch, -1, -1)
        self.plain_ids = tuple(plain.generate(engine.model, embeddings, count)[0])
        ours, others = [], []
        for _ in range(runs):
            synchronize(device)
            with _peak(device) as peak:
                completions = engine.answer([query] * batch)
            ours.append((completions, peak[0]))
            with _peak(device) as peak:
                first_s, token_s = plain.time_generate(engine.model, embeddings, count)
            others.append((first_s, token_s, peak[0]))
        timings = [done[0].timing for done, _ in ours]
        self.encode_s = _median(timing.encode_s for timing in timings)
        self.first_token_s = _median(timing.first_token_s for timing in timings)
        self.token_s = _median(filter(None, (_token_s(done) for done, _ in ours)))
        self.memory = _median(filter(None, (peak for _, peak in ours)))
        self.plain_first_s = _median(first for first, _, _ in others)
        self.plain_token_s = _median(filter(None, (token for _, token, _ in others)))
        self.plain_memory = _median(filter(None, (peak for _, _, peak in others)))


def _token_s(done: Sequence[Completion]) -> float | None:
    """Seconds for each step after the first."""
    steps = max(len(one.ids) for one in done) - 1
    return (done[0].timing.generate_s - done[0].timing.first_token_s) / steps if steps else None


def _generation_stages(
    session: Session, prepared: Prepared, one: _Asked, read: float, weights: float, speed: Speed
) -> Iterator[Stage]:
    many = "1 question" if one.batch == 1 else f"{one.batch} questions"
    cache = session.plan(*[prepared] * one.batch).cache
    new = prepared.query.generation.max_new_tokens
    mean = cache * (prepared.tokens + len(one.completion.ids) / 2) / (prepared.tokens + new)
    floor = speed.token_s(read, mean)
    if one.batch == 1:
        yield Stage("a token", "s", one.token_s, floor, one.plain_token_s)
    rates = [None if not value else one.batch / value for value in (one.token_s, floor, one.plain_token_s)]
    yield Stage(f"tokens, {many}", "tokens/s", *rates)
    yield Stage(f"memory, {many}", "bytes", one.memory, weights + cache, one.plain_memory)


def read_each_token(model: Any) -> int:
    """Bytes of the weights that one more token needs: the language model's and its head's.

    Of the input embeddings it needs one row, unless the head is the same weight.
    """
    head, words = model.get_output_embeddings(), model.get_input_embeddings()
    sizes = _sizes(model.get_decoder()) | _sizes(head)
    if words.weight is not head.weight:
        sizes.pop(id(words.weight), None)
    return sum(sizes.values())


def _sizes(module: torch.nn.Module) -> dict[int, int]:
    """Bytes of each weight, by identity: some are used twice."""
    return {id(weight): weight.numel() * weight.element_size() for weight in module.parameters()}


@torch.inference_mode()
def _prefill(engine: LocalEngine, embedding: torch.Tensor) -> object:
    return engine.model(inputs_embeds=embedding[None], use_cache=False, logits_to_keep=1)


def _decoded(session: Session, request: Request, runs: int) -> tuple[Prepared, float]:
    """The request with its media decoded, and the seconds that takes once the decoding process is up."""
    with session.open_media() as media:
        prepared = session.prepare(request, media)
    found = []
    for _ in range(runs):
        with session.open_media() as media:
            session.look(request, media)
            found.append(media.decode_s)
    return prepared, statistics.median(found)


def _read_plainly(path: str, sampling: Any) -> None:
    for frame in plain.read_clip(path, sampling).frames:
        as_shown(frame)


def _fitting(session: Session, prepared: Prepared, batch: int) -> int:
    """The batch, halved until it fits into memory."""
    while batch > 1 and (plan := session.plan(*[prepared] * batch)).total > plan.free:
        batch //= 2
    return batch


def _prompt(prepared: Prepared) -> Any:
    return prepared.query.prompt


@contextmanager
def _peak(device: str) -> Iterator[list[int | None]]:
    """The most bytes that are held meanwhile: of a GPU's memory, or by this process. There once it has ended."""
    peak: list[int | None] = []
    if device.startswith("cuda"):
        torch.cuda.reset_peak_memory_stats(device)
        yield peak
        peak.append(torch.cuda.max_memory_allocated(device))
    else:
        begin_peak()
        yield peak
        peak.append(memory_of("self", "VmHWM"))


def _median(values: Any) -> float | None:
    found = list(values)
    return statistics.median(found) if found else None


def _sameness(one: _Asked) -> str:
    ours, others = one.completion.ids, one.plain_ids
    if ours == others:
        return "The tokens are the same."
    same = next((place for place, pair in enumerate(zip(ours, others, strict=False)) if pair[0] != pair[1]), 0)
    return f"The first {same} of {len(ours)} tokens are the same: rounding decides close calls."


def _figure(value: float | None, unit: Unit) -> str:
    if value is None:
        return UNKNOWN
    match unit:
        case "s":
            return seconds(value)
        case "tokens/s":
            return f"{value:,.0f} a second"
        case "bytes":
            return f"{value / GIB:.2f} GiB"


def _chart(title: str, stages: Sequence[Stage]) -> Chart:
    groups = []
    for stage in stages:
        figures = {"llava": stage.ours, "floor": stage.floor, "transformers": stage.plain}
        bars = [Bar(name, value, _figure(value, stage.unit)) for name, value in figures.items() if value is not None]
        groups.append((stage.name, bars))
    return Chart(title, "shorter is better; of tokens a second, longer", groups)
