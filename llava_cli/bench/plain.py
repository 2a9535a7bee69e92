# SPDX-License-Identifier: Apache-2.0
"""What everybody has without this program: the model cards' loop, and `generate` of transformers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from transformers import PreTrainedModel

from llava_cli.bench.floors import timed
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
def generate(model: PreTrainedModel, embeddings: torch.Tensor, new_tokens: int) -> list[list[int]]:
    """Exactly so many tokens after each prompt, greedily, by the library's own loop.

    Args:
        embeddings: the prompts as input embeddings [prompts, tokens, hidden size].
    """
    mask = torch.ones(embeddings.shape[:2], dtype=torch.long, device=embeddings.device)
    made = model.generate(
        inputs_embeds=embeddings, attention_mask=mask, do_sample=False, max_new_tokens=new_tokens, eos_token_id=None
    )
    return made.tolist()


def time_generate(model: PreTrainedModel, embeddings: torch.Tensor, new_tokens: int) -> tuple[float, float | None]:
    """Seconds to the first token, and for each after it; None where there is none."""
    device = str(embeddings.device)
    first = timed(lambda: generate(model, embeddings, 1), device)
    if new_tokens == 1:
        return first, None
    every = timed(lambda: generate(model, embeddings, new_tokens), device)
    return first, max(0.0, every - first) / (new_tokens - 1)
