# SPDX-License-Identifier: Apache-2.0
"""`llava batch`: a list of jobs, each with its own media and question."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from llava_cli.cli import batch_options, options, values
from llava_cli.cli.caption import open_list
from llava_cli.cli.grouping import Without
from llava_cli.cli.help import COMMON
from llava_cli.cli.work import List, work
from llava_cli.errors import UsageError
from llava_cli.output import Output, guarded_stdout

if TYPE_CHECKING:
    from llava_cli.batch.jobs import Item

EXAMPLES = """
Examples:

  llava batch jobs.jsonl -o answers.jsonl

  llava batch jobs.csv -o answers.jsonl --report answers.html

  jq -c '{id, media: .file, question: "Why?"}' list.jsonl | llava batch -

A job: {"id": "7", "media": "clip.mp4", "question": "What happens?", "start": 10, "end": "1:30", "frames": 16}
"""

Jobs = Annotated[
    str,
    typer.Argument(
        metavar="JOBS",
        help="JSON Lines or CSV with media (a path or a list of paths) and question, and perhaps id, system, start, "
        "end, frames; anything else is copied to the record. '-' is standard input.",
    ),
]
Prompt = Annotated[
    str | None,
    typer.Option("--prompt", "-p", metavar="TEXT", help="The question of jobs without one."),
    COMMON,
]
Format = Annotated[
    Literal["jsonl", "csv"] | None,
    typer.Option(
        "--format",
        metavar="jsonl|csv",
        parser=values.one_of(Literal["jsonl", "csv"]),
        help="Format of the list.",
        show_default="by its name",
    ),
]


def batch(
    jobs: Jobs,
    prompt: Prompt = None,
    format: Format = None,
    *,
    selection: batch_options.ListOptions,
    choice: Annotated[options.ModelOptions, Without("dummy")],
    showing: options.FrameOptions,
    answering: options.GenerationOptions,
    machine: options.DeviceOptions,
    manner: batch_options.BatchOptions,
    limits: options.LimitOptions = batch_options.LIMITS,
    delivery: Annotated[batch_options.OutputOptions, Without("sidecar", "output_dir")],
    quiet: options.Quiet = False,
) -> None:
    """Answer a list of questions about videos and images.

    Prints a record per job, or appends them to --output; the same command, run again, continues where it stopped.
    Exit code 1: some jobs failed.
    """
    if prompt is not None and not prompt.strip():
        raise UsageError("the question is empty")
    if jobs == "-" and sys.stdin is not None and sys.stdin.isatty():
        raise UsageError("standard input is a terminal; pipe a list of jobs into it, or name one")
    as_csv = format == "csv" or (format is None and jobs.lower().endswith(".csv"))
    rereadable = jobs != "-" and Path(jobs).is_file()
    if rereadable or (jobs != "-" and not Path(jobs).exists()):
        open_list(jobs).close()  # says now that it cannot be read
    listed = List(lambda: _read(jobs, as_csv, prompt), rereadable, selection)
    loading, reading = machine.load_options(), limits.for_media()
    with guarded_stdout() as stdout:
        work(listed, choice, showing, answering, loading, delivery, manner, reading, Output(stdout, quiet))


def _read(name: str, as_csv: bool, prompt: str | None) -> Iterator[Item]:
    from llava_cli.batch.jobs import read_csv, read_jsonl

    with open_list(name) as stream:
        yield from (read_csv if as_csv else read_jsonl)(stream, name, prompt)
