# SPDX-License-Identifier: Apache-2.0
"""What everybody has without this program: the model cards' loop, and `generate` of transformers."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import torch
from transformers import PreTrainedModel

from llava_cli.bench.floors import synchronize
from llava_cli.bench.peers import recipe
from llava_cli.media.clip import Clip, MediaInfo, Sampling
from llava_cli.media.sampling import Timeline, choose


def read_clip(path: str | Path, sampling: Sampling) -> Clip:
    """Frames as the model cards read them: at full size, for the checkpoint's preprocessing to scale."""
    reading = recipe(str(path), sampling.frames, lambda total, count: choose(Timeline(range(total)), sampling)[0])
    indices, frames = zip(*reading.frames, strict=True)
    height, width = frames[0].shape[:2]
    info = MediaInfo(str(path), "video", width, height, None, "pyav")
    return Clip(np.stack(frames), indices, tuple(map(float, indices)), info, sampling)


@torch.inference_mode()
def generate(
    model: PreTrainedModel, embeddings: torch.Tensor, new_tokens: int, clock: Clock | None = None
) -> list[list[int]]:
    """Exactly so many tokens after each prompt, greedily, by the library's own loop.

    Args:
        embeddings: the prompts as input embeddings [prompts, tokens, hidden size].
        clock: looked at after the prompts, and after each token.
    """
    mask = torch.ones(embeddings.shape[:2], dtype=torch.long, device=embeddings.device)
    made = model.generate(
        inputs_embeds=embeddings,
        attention_mask=mask,
        do_sample=False,
        max_new_tokens=new_tokens,
        eos_token_id=None,
        streamer=clock,
    )
    return made.tolist()


class Clock:
    """When tokens come, in the way in which the library tells of them."""

    def __init__(self) -> None:
        self.times: list[float] = []

    def put(self, value: torch.Tensor) -> None:
        self.times.append(time.perf_counter())

    def end(self) -> None:
        """The library says so."""


def time_generate(model: PreTrainedModel, embeddings: torch.Tensor, new_tokens: int) -> tuple[float, float | None]:
    """Seconds to the first token, and for each after it; None where there is none."""
    synchronize(str(embeddings.device))
    clock, started = Clock(), time.perf_counter()
    generate(model, embeddings, new_tokens, clock)
    _, first, *_ = clock.times
    each = (clock.times[-1] - first) / (new_tokens - 1) if new_tokens > 1 else None
    return first - started, each
