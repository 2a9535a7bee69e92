# SPDX-License-Identifier: Apache-2.0
"""What a media file may cost, decided before the work. Every refusal names the option that allows more."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from llava_cli.errors import UsageError
from llava_cli.machine import memory_limit

Urls = Literal["never", "public", "any"]

MAX_FRAMES = 4096
"""Frames that may be asked for."""

SIZE = re.compile(r"(\d+)\s*([kmgt]?)(?:i?b)?", re.IGNORECASE | re.ASCII)


@dataclass(frozen=True)
class Limits:
    """Bounds on reading one file."""

    max_bytes: int = 2 << 30
    """How much is copied from standard input or a pipe, or downloaded. Files on disk may be of any size."""
    max_pixels: int = 1 << 27
    """Pixels that one picture may have (an 8K frame has a quarter of them). A few bytes can claim far more."""
    max_walk: int = 500_000
    """Frames decoded one by one where a file cannot be sampled by seeking: five hours at 25 a second."""
    timeout: float = 600.0
    """Seconds that reading one file may take, where a worker reads it."""
    max_memory: int | None = None
    """Bytes of memory that a worker may take, and that what it has decoded of one job may; None is half of what this
    process may use."""
    urls: Urls = "never"
    """Which URLs are read: none, those at public addresses, or all. Files on the hub are, where any are."""
    pipes: bool = True
    """Whether standard input and pipes are read."""


DEFAULT = Limits()


def half_of_memory() -> int:
    """Half of the memory that this process may use, in bytes."""
    return memory_limit() // 2


def parse_size(text: str) -> int:
    """Bytes for "5000", "500M" or "2GiB" (powers of 1024 all).

    Raises:
        UsageError: it is anything else.
    """
    match = SIZE.fullmatch(text.strip())
    if not match or not int(match[1]):
        raise UsageError(f"{text!r} is not a size; write bytes, or 500M, or 2G")
    return int(match[1]) << 10 * " kmgt".index(match[2].lower() or " ")
