# SPDX-License-Identifier: Apache-2.0
"""`llava bench answer`: each stage of an answer beside the least that this machine needs, and plain transformers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import cast

import torch

from llava_cli.answer import Prepared
from llava_cli.bench import stages
from llava_cli.bench.asked import Asked, median
from llava_cli.bench.floors import Speed, bytes_per_token, measure, operations, timed, weight_bytes
from llava_cli.bench.host import describe
from llava_cli.bench.peers import as_shown
from llava_cli.bench.plain import read_clip
from llava_cli.bench.report import Report
from llava_cli.bench.stages import Stage
from llava_cli.engine.local import LocalEngine
from llava_cli.media.clip import Clip
from llava_cli.models.prompt import Prompt
from llava_cli.request import Request
from llava_cli.session import Session

LIBRARIES = ("torch", "transformers", "av", "bitsandbytes")


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
    told("loading")
    engine = cast(LocalEngine, session.engine)
    told("decoding")
    prepared = _prepared(session, request)
    decode_s = median(_decode_s(session, request) for _ in range(runs))
    plain_decode_s = median(timed(lambda: _decode_plainly(session, request), "cpu") for _ in range(runs))
    told("measuring the machine")
    speed = measure(str(engine.model.device), engine.model.dtype)
    told("answering")
    asked = [Asked(engine, prepared, size, runs) for size in dict.fromkeys((1, _fitting(session, prepared, batch)))]
    found = [
        Stage("load", "s", asked[0].load_s, speed.load_s(weight_bytes(engine.model))),
        Stage("decode", "s", decode_s, None, plain_decode_s),
        *_prompt_stages(engine, prepared, asked[0], speed),
        *(stage for one in asked for stage in _token_stages(session, engine, prepared, one, speed)),
    ]
    info = engine.info
    title = f"An answer of {Path(info.checkpoint).name}{' (random weights)' if info.dummy else ''}"
    return Report(
        name,
        title,
        host,
        command,
        [stage.row() for stage in found],
        [[stages.HEAD, *(stage.cells() for stage in found)]],
        _notes(engine, prepared, asked[0], speed, runs),
        stages.chart(title, found),
    )


def _prepared(session: Session, request: Request) -> Prepared:
    with session.open_media() as media:
        return session.prepare(request, media)


def _decode_s(session: Session, request: Request) -> float:
    """Seconds until the media are decoded; the process that does it is up."""
    with session.open_media() as media:
        session.look(request, media)
        return media.decode_s


def _decode_plainly(session: Session, request: Request) -> None:
    (path,) = request.names
    for frame in read_clip(path, session.view(request).sampling).frames:
        as_shown(frame)


def _fitting(session: Session, prepared: Prepared, batch: int) -> int:
    """The batch, halved until it fits into memory."""
    while batch > 1 and (plan := session.plan(*[prepared] * batch)).total > plan.free:
        batch //= 2
    return batch


def _prompt_stages(engine: LocalEngine, prepared: Prepared, asked: Asked, speed: Speed) -> Iterator[Stage]:
    """What is done once for a prompt."""
    prompt = cast(Prompt, prepared.query.prompt)
    embeddings = engine.embed(prompt)[None]

    @torch.inference_mode()
    def prefill() -> None:
        engine.model(inputs_embeds=embeddings, use_cache=False, logits_to_keep=1)

    encode_s, prefill_s = (speed.compute_s(operations(run)) for run in (lambda: engine.embed(prompt), prefill))
    yield Stage("encode", "s", asked.encode_s, encode_s)
    yield Stage("prefill", "s", asked.first_token_s, prefill_s, asked.plain_first_s)


def _token_stages(
    session: Session, engine: LocalEngine, prepared: Prepared, asked: Asked, speed: Speed
) -> Iterator[Stage]:
    """What is done for each token, and the memory for all."""
    cache = session.plan(*[prepared] * asked.batch).cache
    planned = prepared.tokens + prepared.query.generation.max_new_tokens
    usual = cache * (prepared.tokens + len(asked.completion.ids) / 2) / planned  # the cache grows with the answer
    floor = speed.token_s(bytes_per_token(engine.model), usual)
    if asked.batch == 1:
        yield Stage("a token", "s", asked.token_s, floor, asked.plain_token_s)
    questions = "1 question" if asked.batch == 1 else f"{asked.batch} questions"
    rates = [asked.batch / value if value else None for value in (asked.token_s, floor, asked.plain_token_s)]
    yield Stage(f"tokens, {questions}", "tokens/s", *rates)
    yield Stage(f"memory, {questions}", "bytes", asked.memory, weight_bytes(engine.model) + cache, asked.plain_memory)


def _notes(engine: LocalEngine, prepared: Prepared, asked: Asked, speed: Speed, runs: int) -> list[str]:
    info, new_tokens = engine.info, len(asked.completion.ids)
    frames = sum(len(clip.frames) for clip in prepared.media if isinstance(clip, Clip))
    whose = "torch's on the GPU" if str(info.device).startswith("cuda") else "the whole process's, libraries included"
    same = "The tokens are the same."
    if asked.same_tokens < new_tokens:
        same = f"The first {asked.same_tokens} of {new_tokens} tokens are the same: rounding decides close calls."
    return [
        f"{info.quantization or info.dtype} on {info.device}: {speed}, measured here. {frames} frames, "
        f"{prepared.tokens} prompt tokens, {new_tokens} new ones; medians of {runs} runs. Memory is {whose}.",
        "Floors: for each token, every weight of the language model and all keys and values are read once; matrix "
        "products of encoding and prefill, without attention's own, run at the measured rate; weights are brought to "
        "the device once.",
        "transformers is its own `generate`, greedy, given the same prompt as embeddings; its decoding is the model "
        f"cards' loop. {same}",
    ]
