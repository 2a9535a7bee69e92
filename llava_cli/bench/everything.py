# SPDX-License-Identifier: Apache-2.0
"""`llava bench all`: every measurement, in a size that suits the machine."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import torch

from llava_cli.bench import small
from llava_cli.bench.answer import bench_answer
from llava_cli.bench.batch import bench_batch
from llava_cli.bench.frames import bench_rendered
from llava_cli.bench.media import HEIGHT, SECONDS
from llava_cli.bench.report import Report
from llava_cli.demo.show import write_clip
from llava_cli.engine.types import Generation
from llava_cli.machine import cores
from llava_cli.models.checkpoint import DEMO
from llava_cli.request import Request
from llava_cli.session import Session

QUESTION = "Describe the video."

_ENOUGH_CORES = 8


@dataclass(frozen=True)
class Size:
    """How much is measured."""

    height: int = HEIGHT
    """Rows of the rendered videos, usually."""
    seconds: float = SECONDS
    """How long they usually last."""
    frames: int = 8
    runs: int = 3
    clips: int = 64
    """That the demo checkpoint is asked about."""
    large_clips: int = 8
    """That a large checkpoint is asked about, once."""
    new_tokens: int = 64
    batch: int = 8


FULL = Size()
SMALL = Size(height=360, clips=32)
"""For a machine with few cores and no GPU."""


def suitable() -> Size:
    """The size for this machine."""
    return FULL if torch.cuda.is_available() or cores() >= _ENOUGH_CORES else SMALL


def bench_all(
    size: Size, dummy: str | None, folder: Path, command: str, told: Callable[[str], None] = lambda stage: None
) -> Iterator[Report]:
    """Each measurement as it is done: frames, lists and answers of the demo checkpoint, the same of a larger one.

    Args:
        dummy: the short name of a geometry to fill with random weights, for a GPU. Without a GPU the larger checkpoint
            has 100 million.
        folder: an empty one, for what is rendered.
        told: called with what is being done.
    """
    media, clips, large_clips = (folder / name for name in ("media", "clips", "large-clips"))
    for made in (media, clips, large_clips):
        made.mkdir()
    yield bench_rendered(media, size.height, size.seconds, size.frames, size.runs, command, told)
    clip = folder / "clip.mp4"
    write_clip(clip)
    request = Request(QUESTION, (str(clip),), generation=Generation(size.new_tokens))
    with Session(DEMO) as session:
        yield bench_batch(session, request, clips, size.clips, size.runs, command, told=told)
        yield bench_answer(session, request, size.batch, size.runs, command, "answer-demo", told)
    on_gpu = torch.cuda.is_available()
    name = dummy
    if name is None or not on_gpu:
        told("making a checkpoint of 100 million weights")
        name = str(small.write_checkpoint(folder / small.NAME))
    with Session(name, dummy=name == dummy) as session:
        yield bench_answer(session, request, size.batch, size.runs, command, "answer-large", told)
        if on_gpu:
            yield bench_batch(session, request, large_clips, size.large_clips, 1, command, None, "batch-large", told)
