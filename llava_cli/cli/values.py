# SPDX-License-Identifier: Apache-2.0
"""How the values of options are read: what does not make sense is a usage error."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

import typer

from llava_cli.errors import UsageError
from llava_cli.media.limits import parse_size


def finite(value: float | None) -> float | None:
    if value is not None and not math.isfinite(value):
        raise typer.BadParameter("must be a finite number")
    return value


def positive(value: float | None) -> float | None:
    if finite(value) is not None and value is not None and value <= 0:
        raise typer.BadParameter("must be more than 0")
    return value


def seconds(text: str) -> float:
    """A time as seconds or hh:mm:ss."""
    from llava_cli.media.sampling import parse_time

    try:
        return parse_time(text)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error


def size(value: str | int) -> int:
    """Bytes; Typer has a default read too, which is a number already."""
    try:
        return value if isinstance(value, int) else parse_size(value)
    except UsageError as error:
        raise typer.BadParameter(str(error)) from error


def rope_factor(text: str) -> float:
    """The factor of linear:FACTOR."""
    kind, _, factor = text.partition(":")
    try:
        value = float(factor)
    except ValueError:
        value = math.nan
    if kind != "linear" or not 1 <= value <= 64:
        raise typer.BadParameter(f"{text!r} is not of the form linear:FACTOR, with a factor from 1 to 64")
    return value


def batch_size(text: str) -> int:
    """A number of questions; 0 is 'auto'."""
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


def part(text: str) -> Part:
    """The part of I/N."""
    found = re.fullmatch(r"(\d{1,9})/(\d{1,9})", text)
    if not found or not 1 <= int(found[1]) <= int(found[2]):
        raise typer.BadParameter(f"{text!r} is not of the form I/N, with I from 1 to N")
    return Part(int(found[1]), int(found[2]))


def model_names(incomplete: str) -> list[str]:
    """Names of checkpoints that begin so, for completion in the shell."""
    from llava_cli.models.checkpoint import DEMO
    from llava_cli.models.published import PUBLISHED

    return [name for name in (DEMO, *PUBLISHED) if name.startswith(incomplete)]
