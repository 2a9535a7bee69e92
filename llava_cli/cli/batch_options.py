# SPDX-License-Identifier: Apache-2.0
"""Options that the commands for many files share."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import typer

from llava_cli.cli import options, values

_LIST = "List"
_BATCH = "Batches"
_OUTPUT = "Output"

LIMITS = options.LimitOptions(allow_urls=False)
"""Lists may come from anyone."""


@dataclass(frozen=True)
class ListOptions:
    """Which jobs of a list are done."""

    limit: Annotated[
        int | None,
        typer.Option(min=1, help="Stop after so many jobs of the list.", rich_help_panel=_LIST, show_default=False),
    ] = None
    shard: Annotated[
        values.Part | None,
        typer.Option(
            parser=values.part,
            metavar="I/N",
            help="Do only part I of N. What is in a part depends on the files' names alone.",
            rich_help_panel=_LIST,
            show_default=False,
        ),
    ] = None


@dataclass(frozen=True)
class BatchOptions:
    """How the work is done."""

    batch_size: Annotated[
        int | None,
        typer.Option(
            "--batch-size",
            parser=values.batch_size,
            metavar="auto|N",
            help="How many questions are answered at once: what fits into memory, or at most N.",
            rich_help_panel=_BATCH,
        ),
    ] = None
    workers: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=256,
            help="How many processes decode.  [default: by the cores]",
            rich_help_panel=_BATCH,
            show_default=False,
        ),
    ] = None
    strict: Annotated[bool, typer.Option("--strict", help="Stop at the first failure.", rich_help_panel=_BATCH)] = False


@dataclass(frozen=True)
class OutputOptions:
    """Where records go, and which are made anew."""

    ledger: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE",
            help="The ledger: records are appended to it, one a line, and what it holds is not done again. "
            "Without it, records go to standard output.",
            rich_help_panel=_OUTPUT,
            show_default=False,
        ),
    ] = None
    retry_failed: Annotated[
        bool, typer.Option("--retry-failed", help="Do again what failed in an earlier run.", rich_help_panel=_OUTPUT)
    ] = False
    force: Annotated[
        bool, typer.Option("--force", help="Do everything again, whatever the ledger holds.", rich_help_panel=_OUTPUT)
    ] = False
    sidecar: Annotated[
        Literal["txt", "json"] | None,
        typer.Option(help="Write answers (txt) or records (json) next to each file too.", rich_help_panel=_OUTPUT),
    ] = None
    output_dir: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Keep sidecars here instead.", rich_help_panel=_OUTPUT, show_default=False),
    ] = None
    csv: Annotated[
        Path | None,
        typer.Option(
            "--csv",
            metavar="FILE",
            help="Write the records as a table too.",
            rich_help_panel=_OUTPUT,
            show_default=False,
        ),
    ] = None
    report: Annotated[
        Path | None,
        typer.Option(
            "--report",
            metavar="FILE",
            help="Write an HTML page too, with the frames that were shown.",
            rich_help_panel=_OUTPUT,
            show_default=False,
        ),
    ] = None
