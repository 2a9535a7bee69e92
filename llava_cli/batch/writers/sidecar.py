# SPDX-License-Identifier: Apache-2.0
"""Sidecars: the answers about a file in a file beside it, as trainers and taggers expect them."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from typing import Any
from urllib.parse import quote

from llava_cli.atomic import make_folder, write_file
from llava_cli.batch.files import EXTENSIONS
from llava_cli.batch.writers.forms import Form
from llava_cli.batch.writers.gathered import Gathered, Records
from llava_cli.batch.writers.own import Own
from llava_cli.batch.writers.track import file_of
from llava_cli.batch.writers.writer import Writer
from llava_cli.captions import PLAIN, Wording
from llava_cli.errors import OutputError, write_failure
from llava_cli.media.clip import Media
from llava_cli.media.source import is_url

_LONGEST_NAME = 200
"""File systems take 255 bytes."""


class Sidecars(Writer):
    """Writes a file for each medium, but never over one that somebody else has written, such as a caption by hand."""

    per_job = True

    def __init__(
        self,
        form: Form,
        folder: Path | None = None,
        overwrite: bool = False,
        ledger: Path | None = None,
        wording: Wording = PLAIN,
        summary: bool = False,
    ) -> None:
        """`ledger`: what is written is remembered beside it, for the runs to come."""
        self._form, self._folder, self._overwrite, self._wording = form, folder, overwrite, wording
        self._own, self._gathered = Own(ledger), Gathered(summary)

    def put(self, records: Sequence[tuple[dict[str, Any], bool]], media: Sequence[Media]) -> None:
        self.write(self._gathered.with_these(records))

    def write(self, whole: Records) -> bool:
        """Write what these records say of their file, which are all that there are about it; whether there is any.

        Raises:
            OutputError: it cannot be written, or somebody else has written a file of that name.
        """
        path = file_of(whole[0][0]) if whole else None
        if path is None:
            return False
        target = place(path, self._form.suffix, self._folder)
        there = _bytes_of(target)
        if there is not None and not any(new for _, new in whole):
            return False  # written in an earlier run; it may have been edited since
        content = self._form.of([record for record, _ in whole], self._wording).encode("utf-8", "backslashreplace")
        if not content or content == there:
            return bool(content)
        if there and not (self._overwrite or self._own.has(target, there)):
            raise OutputError(f"{target}: is there already, and llava did not write it; --overwrite replaces it")
        make_folder(target.parent)
        write_file(target, content)
        self._own.add(target, content)
        return True

    def close(self) -> None:
        self._own.close()

    def discard(self) -> None:
        self._own.close()


def _bytes_of(path: Path) -> bytes | None:
    """What a file holds; None where there is none."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise write_failure(path, error) from error


def place(path: str, suffix: str, folder: Path | None) -> Path:
    """Where a medium's sidecar is: `clip.txt` for `clip.mp4`, but `clip.mp4.txt` where there is a `clip.webm` too.

    Under a folder of their own, sidecars keep the folders that the media are in: no two media share one. Those of
    URLs go there, or into the current folder: `example.org/videos/clip.mp4.txt`.
    """
    if is_url(path):
        return (folder or Path()) / _place_of_url(path, suffix)
    whole = os.path.abspath(path)  # noqa: PTH100 - resolves "..", but no links
    above, name = os.path.split(whole)
    stem = os.path.splitext(name)[0]
    name = f"{stem if stem not in _shared_stems(above) else name}.{suffix}"
    if folder is None:
        return Path(above) / name
    inside = os.path.relpath(above) if _is_under(above, os.getcwd()) else above  # noqa: PTH109
    return folder / inside.lstrip("/") / name


def _place_of_url(url: str, suffix: str) -> Path:
    """A path of plain names, whatever the URL holds: nothing in it leads up, hides a file, or is too long a name."""
    *folders, name = map(_plain, url.partition("://")[2].split("/"))
    return Path(*folders, f"{name}.{suffix}")


def _plain(name: str) -> str:
    """Different for different names."""
    name = quote(name, safe="+,=@", errors="surrogateescape") or "%"
    if name[0] in ".-":
        name = f"%{ord(name[0]):X}{name[1:]}"
    if len(name) <= _LONGEST_NAME:
        return name
    digest = hashlib.sha256(name.encode()).hexdigest()
    return name[: _LONGEST_NAME - len(digest)] + digest


def _is_under(path: str, folder: str) -> bool:
    return os.path.commonpath([path, folder]) == folder


@lru_cache(maxsize=16)
def _shared_stems(folder: str) -> frozenset[str]:
    """Stems that several media of a folder share."""
    try:
        found = [os.path.splitext(name) for name in os.listdir(folder)]
    except OSError:
        return frozenset()
    stems = sorted(stem for stem, extension in found if extension[1:].lower() in EXTENSIONS)
    return frozenset(a for a, b in pairwise(stems) if a == b)
