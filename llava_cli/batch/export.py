# SPDX-License-Identifier: Apache-2.0
"""What trainers of video models read, written from a ledger alone: one caption a file."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from llava_cli.batch.reading import by_file
from llava_cli.batch.writers.forms import Form
from llava_cli.batch.writers.track import Record, file_of, track_of
from llava_cli.captions import Wording
from llava_cli.errors import InputError, UsageError
from llava_cli.texts import path_entry
from llava_cli.words import one_line

ListName = Literal["videofolder", "musubi", "ltx"]
"""Forms that are one list of all files."""


@dataclass(frozen=True)
class Captioned:
    """A file and its caption."""

    path: str
    kind: str
    """video or image"""
    text: str


def whole_caption(records: Sequence[Record], wording: Wording) -> str:
    """The one caption of a file, in one line; empty where there is no answer.

    That is the answer about all of a video, where one was made of its windows; or else all that was said of it.
    """
    track = track_of(records, replace(wording, prefix="", suffix=""))
    text = " ".join(" ".join(track.summaries or track.texts).split())
    return wording.around(text) if text else ""


def captioned(records: Iterable[dict[str, Any]], wording: Wording) -> Iterator[Captioned]:
    """Each file that has an answer, with its caption."""
    for same in by_file(records):
        if text := whole_caption(same, wording):
            yield Captioned(file_of(same[0]) or "", _kind(same), text)


KOHYA = Form("txt", lambda records, wording: f"{text}\n" if (text := whole_caption(records, wording)) else "")
"""A text file beside each of the media, with its caption in one line."""


def list_of(name: ListName, files: Iterable[Captioned], root: Path) -> Iterator[str]:
    """The lines of a list; `root` is the folder that names are relative to, where they are.

    Raises:
        InputError: a file is not in it, or has a name that is no text.
    """
    for one in files:
        if "path_b64" in path_entry(one.path):
            raise InputError(f"{one_line(one.path)}: has a name that is no text, which {name} cannot hold")
        yield json.dumps(_LINES[name](one, root), ensure_ascii=False) + "\n"


def common_folder(paths: Sequence[str]) -> Path:
    """The folder that all of these are in.

    Raises:
        UsageError: there is none.
    """
    try:
        return Path(os.path.commonpath([os.path.dirname(os.path.abspath(path)) for path in paths]))  # noqa: PTH100, PTH120
    except ValueError as error:
        raise UsageError("the ledger has no answer about a file") from error


def _videofolder(one: Captioned, root: Path) -> Mapping[str, str]:
    inside = Path(os.path.relpath(os.path.abspath(one.path), root))  # noqa: PTH100
    if inside.parts[0] == os.pardir:
        raise InputError(f"{one_line(one.path)}: is not in {root}, which a videofolder's files must be")
    return {"file_name": inside.as_posix(), "text": one.text}


def _musubi(one: Captioned, root: Path) -> Mapping[str, str]:
    return {f"{one.kind}_path": os.path.abspath(one.path), "caption": one.text}  # noqa: PTH100


def _ltx(one: Captioned, root: Path) -> Mapping[str, str]:
    return {"caption": one.text, "media_path": os.path.abspath(one.path)}  # noqa: PTH100


_LINES: dict[ListName, Callable[[Captioned, Path], Mapping[str, str]]] = {
    "videofolder": _videofolder, "musubi": _musubi, "ltx": _ltx,
}  # fmt: skip


def _kind(records: Sequence[Record]) -> str:
    """Whether a file is a video or an image: of a summary, which shows none, its windows tell."""
    return next((record["media"][0].get("kind", "video") for record in records if record["media"]), "video")
