# SPDX-License-Identifier: Apache-2.0
"""Options that the commands for many files share."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

_LIST = "List"
_BATCH = "Batches"
_OUTPUT = "Output"


def _size(text: str) -> int | None:
    if text == "auto":
        return 0
    if not text.isdecimal() or not 1 <= int(text) <= 4096:
        raise typer.BadParameter("must be 'auto' or a whole number from 1 to 4096")
    return int(text)


@dataclass(frozen=True)
class Part:
    """One of several parts of a list. No tuple: Typer would read one from two arguments."""

    number: int
    count: int


def _part(text: str) -> Part:
    found = re.fullmatch(r"(\d{1,9})/(\d{1,9})", text)
    if not found or not 1 <= int(found[1]) <= int(found[2]):
        raise typer.BadParameter(f"{text!r} is not of the form I/N, with I from 1 to N")
    return Part(int(found[1]), int(found[2]))


Limit = Annotated[
    int | None,
    typer.Option(min=1, help="Stop after so many jobs of the list.", rich_help_panel=_LIST, show_default=False),
]
Shard = Annotated[
    Part | None,
    typer.Option(
        parser=_part,
        metavar="I/N",
        help="Do only part I of N. What is in a part depends on the files' names alone.",
        rich_help_panel=_LIST,
        show_default=False,
    ),
]
Ledger = Annotated[
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
]
RetryFailed = Annotated[
    bool, typer.Option("--retry-failed", help="Do again what failed in an earlier run.", rich_help_panel=_OUTPUT)
]
Force = Annotated[
    bool, typer.Option("--force", help="Do everything again, whatever the ledger holds.", rich_help_panel=_OUTPUT)
]
Strict = Annotated[bool, typer.Option("--strict", help="Stop at the first failure.", rich_help_panel=_BATCH)]
BatchSize = Annotated[
    int | None,
    typer.Option(
        "--batch-size",
        parser=_size,
        metavar="auto|N",
        help="How many questions are answered at once: what fits into memory, or at most N.",
        rich_help_panel=_BATCH,
    ),
]
Workers = Annotated[
    int | None,
    typer.Option(
        min=1, max=256, help="How many processes decode.  [default: by the cores]", rich_help_panel=_BATCH,
        show_default=False,
    ),
]  # fmt: skip
DecodeTimeout = Annotated[
    float,
    typer.Option(min=0.1, metavar="SECONDS", help="Give up on a file after this long.", rich_help_panel=_BATCH),
]
Csv = Annotated[
    Path | None,
    typer.Option(
        "--csv", metavar="FILE", help="Write the records as a table too.", rich_help_panel=_OUTPUT, show_default=False
    ),
]
Report = Annotated[
    Path | None,
    typer.Option(
        "--report",
        metavar="FILE",
        help="Write an HTML page too, with the frames that were shown.",
        rich_help_panel=_OUTPUT,
        show_default=False,
    ),
]
