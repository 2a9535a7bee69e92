# SPDX-License-Identifier: Apache-2.0
"""`llava bench`: how fast frames, answers and lists are on this machine, beside others and beside what it can do."""

from __future__ import annotations

import shlex
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from llava_cli.atomic import make_folder, write_file
from llava_cli.cli import options, values
from llava_cli.cli.batch_options import LIMITS, BatchOptions
from llava_cli.cli.command import App
from llava_cli.cli.grouping import Without
from llava_cli.cli.help import COMMON
from llava_cli.cli.tables import table
from llava_cli.output import console
from llava_cli.request import Request

if TYPE_CHECKING:
    from llava_cli.bench.report import Report

EXAMPLES = """
Examples:

  llava bench frames clip.mp4

  llava bench answer --model demo

  llava bench all --out bench/
"""
FRAMES_EXAMPLES = """
Examples:

  llava bench frames

  llava bench frames clip.mp4 -n 32 --json | jq -r '"\\(.reader) \\(.ratio) \\(.exact)"'
"""
ANSWER_EXAMPLES = """
Examples:

  llava bench answer

  llava bench answer --model next-video-7b --dummy-weights --max-new-tokens 32
"""
BATCH_EXAMPLES = """
Examples:

  llava bench batch

  llava bench batch --model onevision-0.5b --clips 16
"""
ALL_EXAMPLES = """
Examples:

  llava bench all --out bench/

  llava bench all --dummy-weights next-video-7b --out bench/
"""

TABLES = "README-tables.md"

app = App(no_args_is_help=True)

MODEL = options.ModelOptions("demo")
GENERATION = options.GenerationOptions(max_new_tokens=64)
_GREEDY = Without("system", "raw", "template", "prompt_ids", "temperature", "top_p", "seed")
_COUNTED = Without("fps", "sampling", "start", "end", "fit", "fast_pixels")


@dataclass(frozen=True)
class ReportOptions:
    """How it is measured, and where the figures go."""

    runs: Annotated[
        int,
        typer.Option("--runs", metavar="N", parser=values.whole(1, 1000), help="Take the medians of N runs."),
        COMMON,
    ] = 3
    json: Annotated[bool, typer.Option("--json", help="Print one line of JSON per row."), COMMON] = False
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="DIR", help="Save figures (JSON), tables (Markdown) and charts (PNG) in DIR."),
        COMMON,
    ] = None
    quiet: options.Quiet = False


@app.callback(epilog=EXAMPLES)
def bench() -> None:
    """Measure this machine: frames, answers and lists.

    Each figure stands beside what others take for the same, in the same run, and says the machine and the command.
    """


@app.command(epilog=FRAMES_EXAMPLES)
def frames(
    media: Annotated[
        list[Path] | None,
        typer.Argument(metavar="[FILE...]", help="Videos; without any, videos of many kinds are made."),
    ] = None,
    *,
    count: Annotated[
        int,
        typer.Option("--frames", "-n", metavar="N", parser=values.whole(1, 1000), help="Take N frames of each file."),
        COMMON,
    ] = 8,
    reporting: ReportOptions,
) -> None:
    """Measure how fast frames come out of files, and if they are right.

    Beside this program: the model cards' loop, OpenCV, and torchcodec, decord and ffmpeg where they are installed.
    Each frame is compared with those of a full decode. Needs no torch.
    """
    with _measuring(reporting) as (show, told, command, scratch):
        from llava_cli.bench.frames import bench_frames, bench_rendered
        from llava_cli.bench.media import HEIGHT, SECONDS

        if media:
            show(bench_frames(media, count, reporting.runs, command, told=told))
        else:
            show(bench_rendered(scratch, HEIGHT, SECONDS, count, reporting.runs, command, told))


@app.command(epilog=ANSWER_EXAMPLES)
def answer(
    *,
    model: Annotated[options.ModelOptions, Without("rope_factor")] = MODEL,
    choice: Annotated[options.FrameOptions, Without("fps", "sampling", "start", "end", "fit")],
    generation: Annotated[options.GenerationOptions, _GREEDY] = GENERATION,
    batch: Annotated[
        int,
        typer.Option(
            "--batch-size",
            metavar="N",
            parser=values.whole(1, 4096),
            help="Ask N times at once too, if memory allows.",
        ),
        COMMON,
    ] = 8,
    device: Annotated[options.DeviceOptions, Without("quantize_all", "keep")],
    reporting: ReportOptions,
) -> None:
    """Measure an answer beside this machine's limits and transformers.

    Loading, decoding, encoding, prefill, each token, and memory. The limits follow from how fast this machine reads
    memory and multiplies matrices, which is measured too.
    """
    from llava_cli.session import Session

    with (
        _measuring(reporting) as (show, told, command, scratch),
        Session(**model.session(), load=device.load_options()) as session,
    ):
        from llava_cli.bench.answer import bench_answer
        from llava_cli.bench.everything import QUESTION
        from llava_cli.demo.show import write_clip

        clip = scratch / "clip.mp4"
        write_clip(clip)
        request = Request(QUESTION, (str(clip),), choice=choice.choice(), generation=generation.asked)
        show(bench_answer(session, request, batch, reporting.runs, command, told=told))


@app.command(epilog=BATCH_EXAMPLES)
def batch(
    clips: Annotated[
        int,
        typer.Option(
            "--clips",
            metavar="N",
            parser=values.whole(1, 10_000),
            help="Draw N clips, and ask three questions about each.",
        ),
        COMMON,
    ] = 64,
    *,
    model: Annotated[options.ModelOptions, Without("rope_factor")] = MODEL,
    choice: Annotated[options.FrameOptions, _COUNTED],
    generation: Annotated[options.GenerationOptions, _GREEDY] = GENERATION,
    device: Annotated[options.DeviceOptions, Without("quantize_all", "keep")],
    batches: Annotated[BatchOptions, Without("strict")],
    reporting: ReportOptions,
) -> None:
    """Measure lists beside one question after the other.

    The plain loop is what model cards show: for each question, decode the video, keep the frames needed, encode,
    generate. No time includes loading.
    """
    from llava_cli.batch.run import default_workers
    from llava_cli.session import Session

    settings = model.session() | {"load": device.load_options(), "limits": LIMITS.for_media()}
    with (
        _measuring(reporting) as (show, told, command, scratch),
        Session(**settings, workers=batches.workers or default_workers()) as session,
    ):
        from llava_cli.bench.batch import bench_batch

        request = Request(choice=choice.choice(), generation=generation.asked)
        show(bench_batch(session, request, scratch, clips, reporting.runs, command, batches.batch_size, told=told))


@app.command(name="all", epilog=ALL_EXAMPLES)
def everything(
    *,
    dummy: Annotated[
        str | None,
        typer.Option(
            "--dummy-weights",
            metavar="NAME",
            autocompletion=values.model_names,
            help="On a GPU, also measure random weights of this short name's size.",
            show_default="100 million weights",
        ),
        COMMON,
    ] = None,
    reporting: ReportOptions,
) -> None:
    """Measure all of it: frames, lists, answers.

    Makes all that it needs, takes minutes, and suits its size to the machine: without a GPU and on few cores, videos
    are smaller, and so is the larger of the two checkpoints. With --out, README-tables.md holds all tables.
    """
    tables: list[str] = []
    with _measuring(reporting) as (show, told, command, scratch):
        from llava_cli.bench.everything import bench_all, suitable

        for report in bench_all(replace(suitable(), runs=reporting.runs), dummy, scratch, command, told):
            show(report)
            tables.append(report.markdown())
            if reporting.out is not None:
                write_file(reporting.out / TABLES, "\n".join(tables).encode())


_Show = Callable[["Report"], None]
_Told = Callable[[str], None]


@contextmanager
def _measuring(reporting: ReportOptions) -> Iterator[tuple[_Show, _Told, str, Path]]:
    """How a report is shown, whom to tell what is being done, the command, and a folder that goes when all is done."""
    if reporting.out is not None:
        make_folder(reporting.out)
    with console(reporting.quiet) as out, tempfile.TemporaryDirectory(prefix="llava-bench-") as scratch:

        def show(report: Report) -> None:
            out.progress("", 1, 1)
            out.write(report.lines() if reporting.json else _text(report))
            if reporting.out is not None:
                report.save(reporting.out)

        def told(stage: str) -> None:
            out.progress(stage, 0, 1)

        try:
            yield show, told, shlex.join(["llava", *sys.argv[1:]]), Path(scratch)
        finally:
            out.progress("", 1, 1)


def _text(report: Report) -> str:
    """A report for people."""
    tables = (table(rows, str.ljust) for rows in report.tables)
    return "\n".join([report.title, str(report.host), "", *tables, *report.notes]) + "\n\n"
