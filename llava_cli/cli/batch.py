# SPDX-License-Identifier: Apache-2.0
"""`llava batch`: a list of jobs, each with its own media and question."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from llava_cli.cli import batch_options, options, steps
from llava_cli.cli.caption import open_list
from llava_cli.cli.work import Delivery, List, Manner, work
from llava_cli.engine.engine import Generation
from llava_cli.errors import UsageError
from llava_cli.models.checkpoint import DEFAULT
from llava_cli.output import Output, guarded_stdout

if TYPE_CHECKING:
    from llava_cli.batch.jobs import Item

EXAMPLES = """
Examples:

  llava batch jobs.jsonl -o answers.jsonl

  llava batch jobs.csv -o answers.jsonl --report answers.html

  jq -c '{id, media: .file, question: "Is a dog visible?"}' list.jsonl | llava batch - | jq -r .answer

A job: {"id": "7", "media": "clip.mp4", "question": "What happens?", "start": 10, "end": "1:30", "frames": 16}
"""

Jobs = Annotated[
    str,
    typer.Argument(
        metavar="JOBS",
        help="JSON Lines or CSV with media (a path or a list of paths) and question, and perhaps id, system, start, "
        "end, frames; anything else is carried to the record. '-' is standard input.",
    ),
]
Prompt = Annotated[
    str | None, typer.Option("--prompt", "-p", metavar="TEXT", help="The question of jobs that have none.")
]
Format = Annotated[
    Literal["jsonl", "csv"] | None,
    typer.Option(help="What the list is written in.  [default: by its name]", show_default=False),
]


def batch(
    jobs: Jobs,
    prompt: Prompt = None,
    format: Format = None,
    limit: batch_options.Limit = None,
    shard: batch_options.Shard = None,
    model: options.Model = DEFAULT,
    revision: options.Revision = None,
    rope_scaling: options.RopeScaling = None,
    frames: options.Frames = None,
    fps: options.Fps = None,
    sampling: options.SamplingPolicy = None,
    start: options.Start = None,
    end: options.End = None,
    exact_pixels: options.ExactPixels = False,
    fit: options.Fit = False,
    system: options.System = None,
    max_new_tokens: options.MaxNewTokens = 256,
    temperature: options.Temperature = None,
    top_p: options.TopP = None,
    seed: options.Seed = None,
    device: options.Device = "auto",
    dtype: options.Dtype = "auto",
    attention: options.Attention = "sdpa",
    four_bit: options.FourBit = False,
    eight_bit: options.EightBit = False,
    quantize_all: options.QuantizeAll = False,
    batch_size: batch_options.BatchSize = None,
    workers: batch_options.Workers = None,
    decode_timeout: batch_options.DecodeTimeout = 300.0,
    strict: batch_options.Strict = False,
    output: batch_options.Ledger = None,
    retry_failed: batch_options.RetryFailed = False,
    force: batch_options.Force = False,
    csv: batch_options.Csv = None,
    report: batch_options.Report = None,
    quiet: options.Quiet = False,
) -> None:
    """Answer a list of questions about videos and images.

    The same command again goes on where it ended. Exit code 1: some jobs failed.
    """
    if prompt is not None and not prompt.strip():
        raise UsageError("the question is empty")
    if jobs == "-" and sys.stdin is not None and sys.stdin.isatty():
        raise UsageError("standard input is a terminal; pipe a list of jobs into it, or name one")
    as_csv = format == "csv" or (format is None and jobs.lower().endswith(".csv"))
    rereadable = jobs != "-" and Path(jobs).is_file()
    if rereadable or (jobs != "-" and not Path(jobs).exists()):
        open_list(jobs).close()  # says now that it cannot be read
    listed = List(lambda: _read(jobs, as_csv, prompt), rereadable, limit, shard)
    choice = steps.Choice(model, revision, rope_scaling)
    showing = steps.Showing(sampling, frames, fps, start, end, exact_pixels, fit)
    asked = Generation(max_new_tokens, temperature, top_p, seed)
    generation = options.generation(max_new_tokens, temperature, top_p, seed)
    machine = options.load_options(device, dtype, attention, four_bit, eight_bit, quantize_all)
    delivery = Delivery(output, retry_failed, force, csv, report)
    manner = Manner(system, strict, batch_size, workers, decode_timeout)
    with guarded_stdout() as stdout:
        work(listed, choice, showing, asked, generation, machine, delivery, manner, Output(stdout, quiet))


def _read(name: str, as_csv: bool, prompt: str | None) -> Iterator[Item]:
    from llava_cli.batch.jobs import read_csv, read_jsonl

    with open_list(name) as stream:
        yield from (read_csv if as_csv else read_jsonl)(stream, name, prompt)
