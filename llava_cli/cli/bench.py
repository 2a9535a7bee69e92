# SPDX-License-Identifier: Apache-2.0
"""`llava bench`: the batch road against the plain loop, on the same checkpoint, clips and machine, in one run."""

from __future__ import annotations

import json
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from llava_cli.cli import options, steps, values
from llava_cli.cli.batch_options import LIMITS, BatchOptions, OutputOptions
from llava_cli.cli.grouping import Without
from llava_cli.cli.help import COMMON
from llava_cli.cli.work import List, work
from llava_cli.output import Output, guarded_stdout

if TYPE_CHECKING:
    from llava_cli.batch.jobs import Item
    from llava_cli.engine.types import Engine, Generation
    from llava_cli.media.clip import Clip

EXAMPLES = """
Examples:

  llava bench

  llava bench --model onevision-0.5b --clips 16
"""

QUESTIONS = ("What colour is it?", "Which way does it move?", "Describe the video.")

CHOICE = options.ModelOptions("demo")
ANSWERING = options.GenerationOptions(max_new_tokens=64)

Clips = Annotated[
    int,
    typer.Option("--clips", metavar="N", parser=values.whole(1, 10_000), help="Draw N clips and ask about them."),
    COMMON,
]


def bench(
    clips: Clips = 64,
    *,
    choice: Annotated[options.ModelOptions, Without("rope_factor", "dummy")] = CHOICE,
    showing: Annotated[options.FrameOptions, Without("fps", "sampling", "start", "end", "fit")],
    answering: Annotated[options.GenerationOptions, Without("system", "temperature", "top_p", "seed")] = ANSWERING,
    machine: Annotated[options.DeviceOptions, Without("quantize_all")],
    manner: Annotated[BatchOptions, Without("strict")],
    quiet: options.Quiet = False,
) -> None:
    """Measure how much faster batches are answered than single questions.

    The plain loop is what model cards show: for each question, decode the whole video, keep the frames needed,
    encode, generate. Neither time includes loading.
    """
    loading, generation = machine.load_options(), answering.asked
    with guarded_stdout() as stdout, tempfile.TemporaryDirectory(prefix="llava-bench-") as name:
        out = Output(stdout, quiet)
        folder = Path(name)
        with out.working("drawing clips"):
            paths = _draw(folder, clips)
        engine = steps.load_engine(steps.open_loader(steps.open_family(choice, out), loading, out), out)
        _plain_loop(engine, paths[:1], showing, generation)  # neither pays for what is only done the first time
        with out.working("the plain loop"):
            plain_s, plain = _plain_loop(engine, paths, showing, generation)
        jobs = List(lambda: _jobs(paths), rereadable=True)
        delivery, reading = OutputOptions(folder / "ledger.jsonl"), LIMITS.for_media()
        batch_s = work(
            jobs, choice, showing, answering, loading, delivery, manner, reading, out, lambda loader, out: engine
        )
        batched = _answers(folder / "ledger.jsonl")
        same = sum(plain[job] == batched[job] for job in plain)
        out.write(
            f"{clips} clips, {len(plain)} questions, {engine.info.checkpoint} on {engine.info.device}\n"
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


def _jobs(paths: list[str]) -> list[Item]:
    from llava_cli.batch.jobs import Job

    return [Job((path,), question) for path in paths for question in QUESTIONS]


def _plain_loop(
    engine: Engine, paths: list[str], showing: options.FrameOptions, generation: Generation
) -> tuple[float, dict[tuple[str, str], str]]:
    from llava_cli.models.messages import ask

    started = time.perf_counter()
    answers = {}
    for path in paths:
        for question in QUESTIONS:
            asked = ask(question, [_whole_clip(path, showing.of(engine.view).sampling.frames)])
            answers[path, question] = engine.answer([asked], generation)[0].text
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


def _answers(ledger: Path) -> dict[tuple[str, str], str]:
    records = map(json.loads, ledger.read_text().splitlines())
    return {(record["media"][0]["path"], record["question"]): record.get("answer", "") for record in records}
