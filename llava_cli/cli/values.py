# SPDX-License-Identifier: Apache-2.0
"""How the values of options are read, as text from the command line or as numbers from the configuration file.

What makes no sense is a usage error that says what would.
"""

from __future__ import annotations

import math
import re
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import typer

from llava_cli.engine.device_map import DeviceMap, parse_device_map
from llava_cli.errors import UsageError
from llava_cli.media.limits import parse_size
from llava_cli.texts import is_text


def whole(least: int, most: int | None = None) -> Callable[[Any], int]:
    """Reads a whole number in bounds."""
    largest = f"2^{most.bit_length()} - 1" if most is not None and most > 10**9 else most
    bounds = f"of at least {least}" if most is None else f"from {least} to {largest}"

    def read(value: Any) -> int:
        number = _integer(value)
        if number is None or number < least or (most is not None and number > most):
            raise typer.BadParameter(f"must be a whole number {bounds}, not {_shown(value)}")
        return number

    return read


def number(fits: Callable[[float], bool], bounds: str) -> Callable[[Any], float]:
    """Reads a finite number that fits."""

    def read(value: Any) -> float:
        try:
            number = float(str(value))
        except ValueError:
            number = math.nan
        if not math.isfinite(number) or not fits(number):
            raise typer.BadParameter(f"must be a number {bounds}, not {_shown(value)}")
        return number

    return read


positive = number(lambda value: value > 0, "above 0")
at_least_0 = number(lambda value: value >= 0, "of at least 0")
probability = number(lambda value: 0 < value <= 1, "above 0 and at most 1")
share = number(lambda value: 0 <= value <= 1, "from 0 to 1")


def one_of(choices: Any) -> Callable[[Any], str]:
    """Reads one of a `Literal`'s texts."""
    names = get_args(choices)

    def read(value: Any) -> str:
        if value not in names:
            raise typer.BadParameter(f"must be {', '.join(names[:-1])} or {names[-1]}, not {_shown(value)}")
        return str(value)

    return read


def text(value: Any) -> str:
    """What is said to a model."""
    if not is_text(str(value)):
        raise typer.BadParameter("is not valid Unicode text")
    return str(value)


def seconds(value: Any) -> float:
    """A time as seconds or hh:mm:ss."""
    from llava_cli.media.sampling import parse_time

    try:
        return parse_time(str(value))
    except (UsageError, ValueError) as error:
        raise typer.BadParameter(str(error)) from error


def size(value: str | int) -> int:
    """Bytes; Typer has a default read too, which is a number already."""
    try:
        return value if isinstance(value, int) else parse_size(value)
    except (UsageError, ValueError) as error:
        raise typer.BadParameter(f"must be bytes, or like 500M or 2G, not {_shown(value)}") from error


def duration(value: Any) -> float:
    """Seconds of 90, 30s, 5m or 2h."""
    from llava_cli.media.sampling import parse_duration

    try:
        return parse_duration(str(value))
    except UsageError as error:
        raise typer.BadParameter(str(error)) from error


def rope_factor(value: Any) -> float:
    """The factor of linear:FACTOR."""
    kind, _, factor = str(value).partition(":")
    try:
        stretch = float(factor)
    except ValueError:
        stretch = math.nan
    if kind != "linear" or not 1 <= stretch <= 64:
        raise typer.BadParameter(f"must be linear:FACTOR with a factor from 1 to 64, not {_shown(value)}")
    return stretch


def template(text: str) -> str:
    """A chat template: a file's content, or the text itself."""
    from llava_cli.models.user_template import read_template

    try:
        return read_template(text)
    except UsageError as error:
        raise typer.BadParameter(str(error)) from error


def device_map(value: Any) -> DeviceMap:
    """Devices with what of each may be used; the configuration file may hold a GPU's number as a number."""
    try:
        return parse_device_map(str(value))
    except UsageError as error:
        raise typer.BadParameter(str(error)) from error


def batch_size(text: str) -> int:
    """A number of questions; 0 is 'auto'."""
    if text == "auto":
        return 0
    number = _integer(text)
    if number is None or not 1 <= number <= 4096:
        raise typer.BadParameter(f"must be auto or a whole number from 1 to 4096, not {_shown(text)}")
    return number


@dataclass(frozen=True)
class Part:
    """One of several parts of a list. No tuple: Typer would read one from two arguments."""

    number: int
    count: int


def part(text: str) -> Part:
    """The part of I/N."""
    found = re.fullmatch(r"(\d{1,9})/(\d{1,9})", text)
    if not found or not 1 <= int(found[1]) <= int(found[2]):
        raise typer.BadParameter(f"must be I/N with I from 1 to N, not {_shown(text)}")
    return Part(int(found[1]), int(found[2]))


def device(text: str) -> str:
    """The name of a device; whether the machine has it is another matter."""
    if not re.fullmatch(r"auto|cpu|mps|cuda(:\d{1,3})?", text):
        raise typer.BadParameter(f"must be auto, cpu, cuda, cuda:N or mps, not {_shown(text)}")
    return text


def device_names(incomplete: str) -> list[str]:
    """Devices that begin so, for completion in the shell: it cannot wait for torch to tell."""
    gpus = sorted(Path("/dev").glob("nvidia[0-9]*"))
    names = ["auto", "cpu", *(["cuda"] if gpus else []), *(f"cuda:{number}" for number in range(len(gpus)))]
    return [name for name in (*names, *(["mps"] if sys.platform == "darwin" else [])) if name.startswith(incomplete)]


def file(text: str) -> Path:
    """Where something is written that nobody reads from a pipe."""
    if text == "-":
        raise typer.BadParameter("must be a file; to write one of this name: ./-")
    return Path(text)


def endpoint(text: str) -> str:
    """The address of a server."""
    from llava_cli.engine.remote.endpoint import checked_url

    try:
        return checked_url(text)
    except UsageError as error:
        raise typer.BadParameter(str(error)) from error


def model_names(incomplete: str) -> list[str]:
    """Names of checkpoints that begin so, for completion in the shell."""
    from llava_cli.models.checkpoint import DEMO
    from llava_cli.models.published import PUBLISHED

    return [name for name in (DEMO, *PUBLISHED) if name.startswith(incomplete)]


def _integer(value: Any) -> int | None:
    try:
        return int(str(value))
    except ValueError:
        return None


def _shown(value: Any) -> str:
    """A bad value, quoted; of a long one its beginning."""
    text = str(value)
    return repr(text if len(text) <= 40 else f"{text[:40]}…")
