# SPDX-License-Identifier: Apache-2.0
"""One question, so many times at once: answered by this program and by plain transformers in turns, and timed."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import cast

import torch

from llava_cli.answer import Prepared
from llava_cli.bench import plain
from llava_cli.bench.floors import synchronize, weight_bytes
from llava_cli.bench.memory import begin_peak, memory_of
from llava_cli.engine.local import LocalEngine
from llava_cli.engine.types import Completion
from llava_cli.models.prompt import Prompt


class Asked:
    """Medians of what it took, in seconds and bytes; None where it is not known."""

    def __init__(self, engine: LocalEngine, prepared: Prepared, batch: int, runs: int) -> None:
        """Ask.

        Args:
            batch: how many times at once.
            runs: how often, after once that does not count: it pays for what is only done the first time.
        """
        self.batch = batch
        queries, device = [prepared.query] * batch, str(engine.model.device)
        self.completion = engine.answer(queries)[0]
        new_tokens = len(self.completion.ids)
        embeddings = engine.embed(cast(Prompt, prepared.query.prompt))[None].expand(batch, -1, -1)
        self.plain_ids = tuple(plain.generate(engine.model, embeddings, new_tokens)[0])
        answers: list[list[Completion]] = []
        plain_times: list[tuple[float, float | None]] = []
        peaks: list[float | None] = []
        plain_peaks: list[float | None] = []
        for _ in range(runs):
            synchronize(device)
            with _peak(device, peaks):
                answers.append(engine.answer(queries))
            kept = _kept(engine.model)
            with _peak(device, plain_peaks, kept):
                plain_times.append(plain.time_generate(engine.model, embeddings, new_tokens))
        timings = [answer[0].timing for answer in answers]
        self.load_s = timings[0].load_s
        self.encode_s = median(timing.encode_s for timing in timings)
        self.first_token_s = median(timing.first_token_s for timing in timings)
        self.token_s = median(map(_token_s, answers))
        self.memory = median(peaks)
        self.plain_first_s = median(first for first, _ in plain_times)
        self.plain_token_s = median(token for _, token in plain_times)
        self.plain_memory = median(plain_peaks)

    @property
    def same_tokens(self) -> int:
        """How many tokens of the answer are the same in both ways, up to the first that is not."""
        pairs = zip(self.completion.ids, self.plain_ids, strict=True)
        return next((place for place, (ours, others) in enumerate(pairs) if ours != others), len(self.plain_ids))


def median(values: Iterable[float | None]) -> float | None:
    """Of those that are known."""
    known = [value for value in values if value is not None]
    return statistics.median(known) if known else None


def _token_s(answers: Sequence[Completion]) -> float | None:
    """Seconds for each step after the first."""
    steps = max(len(one.ids) for one in answers) - 1
    timing = answers[0].timing
    return (timing.generate_s - timing.first_token_s) / steps if steps else None


def _kept(model: torch.nn.Module) -> int:
    """Bytes of a GPU's memory that are held beside the weights: our recorded steps, which others do without."""
    device = next(model.parameters()).device
    return torch.cuda.memory_allocated(device) - weight_bytes(model) if device.type == "cuda" else 0


@contextmanager
def _peak(device: str, peaks: list[float | None], kept: int = 0) -> Iterator[None]:
    """Add the most bytes that are held meanwhile, without those `kept`: of a GPU's memory, or by this process."""
    if device.startswith("cuda"):
        torch.cuda.reset_peak_memory_stats(device)
        yield
        peaks.append(torch.cuda.max_memory_allocated(device) - kept)
    else:
        begin_peak()
        yield
        peaks.append(memory_of("self", "VmHWM"))
