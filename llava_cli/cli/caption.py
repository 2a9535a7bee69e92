# SPDX-License-Identifier: Apache-2.0
"""`llava caption`: the same questions about many files."""

from __future__ import annotations

from typing import Annotated

import typer

from llava_cli.cli import along, batch_options, options
from llava_cli.cli.batch import Wanted, answer_all
from llava_cli.cli.endpoint_options import EndpointOptions
from llava_cli.cli.file_list import FileOptions, Paths
from llava_cli.cli.grouping import Without
from llava_cli.cli.help import COMMON
from llava_cli.cli.questions import read_questions
from llava_cli.cli.score_options import ScoreOptions
from llava_cli.cli.shape_options import ShapeOptions
from llava_cli.errors import UsageError

EXAMPLES = """
Examples:

  llava caption -r videos/ -o captions.jsonl

  llava caption -r videos/ --sidecar txt -p "Describe it in one sentence."

  llava caption clip.mp4 --every 30s --format srt -o clip.srt

  find . -name '*.mp4' -print0 | llava caption -0 --files-from - -o out.jsonl
"""

Prompt = Annotated[
    list[str] | None,
    typer.Option(
        "--prompt",
        "-p",
        metavar="TEXT",
        help="Ask this of each file; repeatable.",
        show_default="describe",
    ),
    COMMON,
]


def caption(
    paths: Paths = None,
    prompt: Prompt = None,
    *,
    files: FileOptions,
    selection: batch_options.ListOptions,
    model: Annotated[options.ModelOptions, Without("dummy")],
    frames: options.FrameOptions,
    generation: options.GenerationOptions,
    windows: along.WindowOptions,
    wording: along.WordingOptions,
    retry_loops: along.RetryLoops = False,
    scores: ScoreOptions,
    shape: ShapeOptions,
    device: options.DeviceOptions,
    endpoint: EndpointOptions,
    batching: batch_options.BatchOptions,
    engines: batch_options.EngineOptions,
    limits: options.LimitOptions = batch_options.LIMITS,
    outputs: batch_options.OutputOptions,
    format: along.Format = None,
    json: Annotated[
        bool,
        typer.Option("--json", help="Print records, also on a terminal.", rich_help_panel="Output"),
    ] = False,
    quiet: options.Quiet = False,
) -> None:
    """Describe many videos and images, or ask each the same questions.

    Without --prompt it asks "Describe this video in detail."; --prompt @FILE asks what FILE holds, --prompt - what
    standard input does. Prints an answer per file and question (into a pipe, a record), or appends records to --output;
    the same command, run again, continues where it stopped. Exit code 1: some files failed.
    """
    if files.files_from == "-" and "-" in (prompt or ()):
        raise UsageError("standard input (-) can be read only once")
    questions = _questions(prompt)
    if generation.raw and not prompt:
        raise UsageError("--raw needs --prompt: the whole prompt, with <video> or <image> where the file is shown")
    if outputs.output_dir is not None and outputs.sidecar is None:
        raise UsageError("--output-dir needs --sidecar")
    if outputs.overwrite and outputs.sidecar is None:
        raise UsageError("--overwrite needs --sidecar")
    jobs = files.jobs(paths, questions, selection, "llava caption -r videos/ -o captions.jsonl", quiet)
    form = along.form_of(format, json)
    titles = {"chapters", "ffmetadata"} & {form, outputs.sidecar}
    if windows.wants_summary and not windows.division:
        raise UsageError("--summary is about windows: it needs --every or --scenes")
    asked = {"wording": wording.wording(), "retry_loops": retry_loops, "constraint": shape.constraint()}
    asked |= scores.asked()
    wanted = Wanted(windows.along(bool(titles)), asked, form, for_people=not json)
    answer_all(jobs, model, frames, generation, device, endpoint, batching, engines, limits, outputs, quiet, wanted)


def _questions(prompt: list[str] | None) -> list[str | None]:
    return list(dict.fromkeys(read_questions(prompt))) or [None]
