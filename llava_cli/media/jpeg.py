# SPDX-License-Identifier: Apache-2.0
"""Damage to a JPEG of which Pillow says nothing: it shows garbage from some point on.

libjpeg warns of it on standard error, unless it is told not to, as Pillow does and OpenCV does not. A picture of an
eighth of the size is enough: for that all of the compressed data is read, and little else is done.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import BinaryIO

import numpy as np

LARGEST = 1 << 28
"""Bytes of a file that is looked at."""

WARNING = re.compile(rb"Corrupt JPEG data: (.*)")
LEFT_OVER = re.compile(rb"(\d+) extraneous bytes before marker 0x([0-9a-f]{2})")


def damage(file: BinaryIO) -> str | None:
    """What libjpeg has to say of a JPEG's compressed data; None where that is nothing, or nobody can tell."""
    try:
        import cv2
    except ImportError:
        return None
    file.seek(0)
    data = file.read(LARGEST + 1)
    if len(data) > LARGEST:
        return None
    with _standard_error() as said:
        with suppress(cv2.error):
            cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_REDUCED_GRAYSCALE_8)
        warning = WARNING.search(_read(said))
    if warning is None or _is_padding(warning[1], data):
        return None
    return warning[1].decode("ascii", "replace")


def _is_padding(warning: bytes, data: bytes) -> bool:
    """Whether what is left over is the same byte again and again: some cameras fill a file up with it."""
    left_over = LEFT_OVER.match(warning)
    if left_over is None:
        return False
    count, marker = int(left_over[1]), b"\xff" + bytes.fromhex(left_over[2].decode())
    places = (found.start() for found in re.finditer(re.escape(marker), data))
    return any(place >= count and len(set(data[place - count : place])) == 1 for place in places)


def _read(pipe: int) -> bytes:
    with suppress(BlockingIOError):
        return os.read(pipe, 1 << 16)
    return b""


@contextmanager
def _standard_error() -> Iterator[int]:
    """What is said on standard error meanwhile, by C code too, to be read here; what does not fit is lost."""
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    os.set_blocking(reading, False)
    usual = os.dup(2)
    os.dup2(writing, 2)
    try:
        yield reading
    finally:
        os.dup2(usual, 2)
        for descriptor in (reading, writing, usual):
            os.close(descriptor)
