# SPDX-License-Identifier: Apache-2.0
"""Lists of files: as named, from folders, or from a list of names. Streamed."""

from __future__ import annotations

import os
import stat
from collections.abc import Collection, Iterator, Sequence
from typing import BinaryIO

from llava_cli.batch.jobs import Item, Job, lines

VIDEOS = (
    "3g2 3gp amv asf avi dv f4v flv gif ivf m2ts m2v m4v mj2 mkv mov mp4 mpeg mpg mts mxf nut ogv ogm rm rmvb ts vob "
    "webm wmv y4m"
)
IMAGES = "avif bmp heic heif jfif jpe jpeg jpg jp2 jxl png ppm tif tiff webp"
EXTENSIONS = frozenset((VIDEOS + " " + IMAGES).split())
"""What is taken from a folder. Files that are named themselves may be called anything."""


def expand(path: str, recursive: bool, extensions: Collection[str]) -> Iterator[str]:
    """The files that a name stands for: itself, or what is in the folder, in the order of the names."""
    try:
        folder = stat.S_ISDIR(os.stat(path).st_mode)  # noqa: PTH116 - names of any bytes
    except (OSError, ValueError):
        folder = False
    if not folder:
        yield path
        return
    yield from _walk(path, recursive, extensions, frozenset())


def _walk(folder: str, recursive: bool, extensions: Collection[str], above: frozenset[str]) -> Iterator[str]:
    """Names within a folder are sorted, so that a list is in memory a folder at a time, not as a whole."""
    real = os.path.realpath(folder)
    if real in above:  # a link that leads back up
        return
    try:
        with os.scandir(folder) as entries:
            found = sorted((entry.name, entry.is_dir()) for entry in entries)
    except OSError:
        yield folder  # whoever reads it says why it cannot be read
        return
    for name, is_folder in found:
        path = os.path.join(folder, name)
        if is_folder:
            if recursive and not name.startswith("."):
                yield from _walk(path, recursive, extensions, above | {real})
        elif not name.startswith(".") and os.path.splitext(name)[1][1:].lower() in extensions:
            yield path


def names(stream: BinaryIO, null: bool) -> Iterator[str]:
    """File names from a list: one a line, or with a NUL after each (`find -print0`), for names that hold newlines."""
    for line in lines(stream, b"\0" if null else b"\n"):
        name = os.fsdecode(line if null else line.removesuffix(b"\r"))
        if name:
            yield name


def caption_jobs(paths: Iterator[str], questions: Sequence[str | None]) -> Iterator[Item]:
    """A job for each file and question."""
    for path in paths:
        for question in questions:
            yield Job((path,), question)
