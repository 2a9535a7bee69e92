# SPDX-License-Identifier: Apache-2.0
"""`llava bench`: the batch road against the plain loop, on the same checkpoint, clips and machine, in one run."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from llava_cli.cli import options, values
from llava_cli.cli.batch_options import LIMITS, BatchOptions
from llava_cli.cli.grouping import Without
from llava_cli.cli.help import COMMON
from llava_cli.output import console
from llava_cli.request import Request
from llava_cli.words import counted

if TYPE_CHECKING:
    from llava_cli.media.clip import Clip
    from llava_cli.session import Session

Asked = tuple[str, str]
"""A file and a question about it."""

EXAMPLES = """
Examples:

  llava bench

  llava bench --model onevision-0.5b --clips 16
"""

QUESTIONS = ("What colour is it?", "Which way does it move?", "Describe the video.")

MODEL = options.ModelOptions("demo")
GENERATION = options.GenerationOptions(max_new_tokens=64)

Clips = Annotated[
    int,
    typer.Option("--clips", metavar="N", parser=values.whole(1, 10_000), help="Draw N clips and ask about them."),
    COMMON,
]


def bench(
    clips: Clips = 64,
    *,
    model: Annotated[options.ModelOptions, Without("rope_factor", "dummy")] = MODEL,
    frames: Annotated[options.FrameOptions, Without("fps", "sampling", "start", "end", "fit")],
    generation: Annotated[
        options.GenerationOptions,
        Without("system", "raw", "template", "prompt_ids", "temperature", "top_p", "seed"),
    ] = GENERATION,
    device: Annotated[options.DeviceOptions, Without("quantize_all", "keep")],
    batches: Annotated[BatchOptions, Without("strict")],
    quiet: options.Quiet = False,
) -> None:
    """Measure how much faster batches are answered than single questions.

    The plain loop is what model cards show: for each question, decode the whole video, keep the frames needed,
    encode, generate. Neither time includes loading.
    """
    from llava_cli.batch.run import default_workers
    from llava_cli.session import Session

    settings = model.session() | {"load": device.load_options(), "limits": LIMITS.for_media()}
    request = Request(choice=frames.choice(), generation=generation.asked)
    with (
        console(quiet) as out,
        tempfile.TemporaryDirectory(prefix="llava-bench-") as folder,
        Session(**settings, workers=batches.workers or default_workers(), progress=out.progress) as session,
    ):
        with out.working("drawing clips"):
            paths = _draw(Path(folder), clips)
        asked = [replace(request, media=(path,), question=question) for path in paths for question in QUESTIONS]
        _plain_loop(session, asked[:1])  # neither pays for what is only done the first time
        with out.working("the plain loop"):
            plain_s, plain = _plain_loop(session, asked)
        with out.working("batches"):
            batch_s, batched = _batches(session, asked, batches.batch_size)
        same = sum(plain[one] == batched.get(one) for one in plain)
        info = session.engine.info
        out.write(
            f"{counted(clips, 'clip')}, {counted(len(plain), 'question')}, {info.checkpoint} on {info.device}\n"
            f"plain loop  {plain_s:8.1f} s  {len(plain) / plain_s:7.2f} a second\n"
            f"batch       {batch_s:8.1f} s  {len(plain) / batch_s:7.2f} a second\n"
            f"{plain_s / batch_s:.1f} times as fast; the same text for {same} of {len(plain)}\n"
        )


def _draw(folder: Path, count: int) -> list[str]:
    from llava_cli.demo.draw import render_clip
    from llava_cli.demo.world import dice, sample_clip

    paths = [folder / f"{number:05}.mp4" for number in range(count)]
    for number, path in enumerate(paths):
        render_clip(sample_clip(dice("bench", number)), path)
    return list(map(str, paths))


def _plain_loop(session: Session, requests: Sequence[Request]) -> tuple[float, dict[Asked, str]]:
    """Seconds, and the answers."""
    started = time.perf_counter()
    answers = {}
    for request in requests:
        (path,) = request.names
        clip = _whole_clip(path, session.view(request).sampling.frames)
        prepared = session.show(request, [clip], 0.0)
        answers[path, prepared.question] = session.engine.answer([prepared.query])[0].text
    return time.perf_counter() - started, answers


def _batches(session: Session, requests: Sequence[Request], batch_size: int | None) -> tuple[float, dict[Asked, str]]:
    """The same through the road of lists."""
    from llava_cli.batch.jobs import Job
    from llava_cli.batch.run import open_batch

    jobs = [Job(request.media, request.question) for request in requests]
    started = time.perf_counter()
    with open_batch(session, lambda: jobs, requests[0], batch_size=batch_size) as scheduler:
        records = [result.record for result in scheduler.results()]
    answers = {(one["media"][0]["path"], one["question"]): one.get("answer", "") for one in records}
    return time.perf_counter() - started, answers


def _whole_clip(path: str, count: int) -> Clip:
    """Every frame decoded at full size, and those kept that are wanted: the loop of the model cards."""
    import av
    import numpy as np

    from llava_cli.media.clip import Clip, MediaInfo

    with av.open(path) as container:
        shots = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    wanted = np.arange(0, len(shots), len(shots) / count).astype(int)[:count]
    height, width = shots[0].shape[:2]
    info = MediaInfo(path, "video", width, height, None, "pyav")
    indices = tuple(int(i) for i in wanted)
    return Clip(np.stack([shots[i] for i in indices]), indices, tuple(map(float, indices)), info)
