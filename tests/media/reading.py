# SPDX-License-Identifier: Apache-2.0
"""Short ways to read a rendered file."""

from __future__ import annotations

from pathlib import Path

import av

from llava_cli.media import sampler
from llava_cli.media.clip import Clip, Fit, Policy, Sampling, View
from llava_cli.media.source import Source


def source(path: Path) -> Source:
    return Source(str(path), path.name)


def sample(path: Path, frames: int = 8, fit: Fit = "full", policy: Policy = "uniform", **more: float) -> Clip:
    return sampler.read_clip(source(path), View((48, 48), fit, Sampling(policy, frames, **more)))


def decode_everything(path: Path) -> list[av.VideoFrame]:
    with av.open(str(path)) as container:
        return list(container.decode(container.streams.video[0]))
