# SPDX-License-Identifier: Apache-2.0
"""Jobs, and lists of them: JSON Lines and CSV. Lists are streamed: a longer one takes no more memory."""

from __future__ import annotations

import base64
import csv
import json
import math
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any, BinaryIO

from llava_cli.errors import InputError, LlavaError, UsageError
from llava_cli.media.limits import MAX_FRAMES
from llava_cli.media.sampling import parse_time
from llava_cli.media.source import masked
from llava_cli.request import Request

LONGEST_LINE = 16 << 20
"""Bytes; what is longer is no job, and is not kept in memory."""

_KEYS = ("id", "media", "question", "system", "start", "end", "frames")


@dataclass(frozen=True)
class Job:
    """Some media and a question.

    Raises:
        InputError: no file can have one of the names.
    """

    media: tuple[str, ...]
    question: str | None = None
    """None asks for a description, in words that depend on whether the file is a video or an image."""
    id: str | int | None = None
    system: str | None = None
    start: float | None = None
    end: float | None = None
    frames: int | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)
    """What else the list says of the job; it is carried to the record."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "media", tuple(map(masked, self.media)))
        for name in self.media:
            try:
                os.fsencode(name)
            except UnicodeEncodeError as error:
                raise InputError(f"media: {name!a} cannot be a file's name") from error

    @property
    def scene(self) -> tuple[object, ...]:
        """What is seen: jobs with the same scene are decoded and encoded together."""
        return self.media, self.start, self.end, self.frames

    def request(self, defaults: Request) -> Request:
        """What is asked; where the job does not say, it is as in `defaults`."""
        own = {key: value for key in ("start", "end", "frames") if (value := getattr(self, key)) is not None}
        return replace(
            defaults,
            question=defaults.question if self.question is None else self.question,
            media=self.media,
            system=self.system or defaults.system,
            choice=replace(defaults.choice, **own),
        )


@dataclass(frozen=True)
class Unusable:
    """A line of a list that is no job."""

    line: int
    text: str
    """As it stands in the list, cut short."""
    error: LlavaError


Item = Job | Unusable


def read_jsonl(stream: BinaryIO, name: str, question: str | None = None) -> Iterator[Item]:
    """The jobs of a list in JSON Lines; `question` is for those that ask none."""
    for number, line in enumerate(lines(stream), 1):
        if not line.strip():
            continue
        text = line.decode("utf-8", "surrogateescape").strip().removeprefix("\ufeff")
        try:
            yield job_of(_object(line, text), question)
        except LlavaError as error:
            yield _unusable(number, text, name, error)


def read_csv(stream: BinaryIO, name: str, question: str | None = None) -> Iterator[Item]:
    """The jobs of a list in CSV, whose first row names the columns. Empty cells are as if they were not there.

    Raises:
        InputError: there is no such row, or no column `media`.
    """
    text = ((line + b"\n").decode("utf-8", "surrogateescape") for line in lines(stream))
    rows = csv.reader(text, strict=False)
    try:
        columns = [column.strip().removeprefix("\ufeff") for column in next(rows, [])]
    except csv.Error as error:
        raise InputError(f"{name}: cannot be read as CSV: {error}") from error
    if "media" not in columns:
        raise InputError(f"{name}: its first row must name the columns, one of them media")
    while True:
        try:
            row = next(rows)
        except StopIteration:
            return
        except csv.Error as error:
            yield _unusable(rows.line_num, str(error), name, InputError(f"cannot be read as CSV: {error}"))
            continue
        if not any(row):
            continue
        try:
            yield job_of(_from_row(columns, row), question)
        except LlavaError as error:
            yield _unusable(rows.line_num, json.dumps(row), name, error)


def items_of(jobs: Iterable[Job | Mapping[str, Any]], question: str | None = None) -> Iterator[Item]:
    """The jobs of a program; those that are mappings have the keys of a list's lines."""
    for number, job in enumerate(jobs, 1):
        try:
            yield job if isinstance(job, Job) else job_of(job, question)
        except LlavaError as error:
            yield _unusable(number, str(job), "jobs", error)


def lines(stream: BinaryIO, separator: bytes = b"\n") -> Iterator[bytes]:
    """The lines of a stream, without what separates them; of too long ones only the beginning."""
    rest = b""
    while chunk := stream.read1(1 << 16) if hasattr(stream, "read1") else stream.read(1 << 16):
        *whole, tail = chunk.split(separator)
        for piece in whole:
            yield (rest + piece)[: LONGEST_LINE + 1]
            rest = b""
        rest += tail[: LONGEST_LINE + 1 - len(rest)]
    if rest:
        yield rest


def _unusable(number: int, text: str, name: str, error: LlavaError) -> Unusable:
    return Unusable(number, text[:2000], InputError(f"{name}, line {number}: {error}", code="job"))


def _object(line: bytes, text: str) -> dict[str, Any]:
    if len(line) > LONGEST_LINE:
        raise InputError(f"is longer than {LONGEST_LINE >> 20} MiB")
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError(f"is not valid JSON: {error}") from error
    if not isinstance(content, dict):
        raise InputError("is not a JSON object")
    return content


def _from_row(columns: list[str], row: list[str]) -> dict[str, Any]:
    if len(row) > len(columns):
        raise InputError(f"has {len(row)} cells, but there are {len(columns)} columns")
    content: dict[str, Any] = {name: cell for name, cell in zip(columns, row, strict=False) if cell and name}
    if content.get("media", "").startswith("["):  # a JSON list; or a name that begins with a bracket
        with suppress(ValueError, RecursionError):
            content["media"] = json.loads(content["media"])
    if content.get("frames", "").isdecimal() and len(content["frames"]) < 10:
        content["frames"] = int(content["frames"])
    return content


def job_of(content: Mapping[str, Any], question: str | None = None) -> Job:
    """The job that an object of a list describes; `question` is for one that asks none.

    Raises:
        InputError: a key is missing, or its value makes no sense.
    """
    given = content.get("question")
    if given is None:
        given = question
    if not isinstance(given, str) or not given.strip():
        raise InputError("has no question: a text that is not empty")
    id, system, frames = (content.get(key) for key in ("id", "system", "frames"))
    if not _is(id, str, int):
        raise InputError("id must be a text or a whole number")
    if not _is(system, str):
        raise InputError("system must be a text")
    if not _is(frames, int) or not 1 <= (1 if frames is None else frames) <= MAX_FRAMES:
        raise InputError(f"frames must be a whole number from 1 to {MAX_FRAMES}")
    return Job(
        media=_media(content.get("media")),
        question=given,
        id=id,
        system=system,
        start=_time("start", content.get("start")),
        end=_time("end", content.get("end")),
        frames=frames,
        extra={key: _carried(key, value) for key, value in content.items() if key not in _KEYS},
    )


def _carried(key: str, value: Any) -> Any:
    """What the record is to carry: it must be able to."""
    try:
        json.dumps(value, allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise InputError(f"{key}: cannot be kept in a record: {error}") from error
    return value


def _media(given: Any) -> tuple[str, ...]:
    parts = given if isinstance(given, list | tuple) else [given]
    paths = [path for part in parts if (path := path_of(part))]
    if not paths or len(paths) < len(parts):
        raise InputError("has no media: a path, or a list of paths")
    return tuple(paths)


def path_of(given: Any) -> str | None:
    """A path, or an entry of a record's `media`, whose `path_b64` holds the bytes of a name that is no text."""
    if isinstance(given, dict):
        try:
            if "path_b64" in given:
                return os.fsdecode(base64.b64decode(given["path_b64"], validate=True))
        except (TypeError, ValueError):
            return None
        given = given.get("path")
    return os.fsdecode(given) if isinstance(given, str | os.PathLike) else None


def _is(value: Any, *kinds: type) -> bool:
    """Whether a value is of one of these kinds, or not given; Python's booleans are numbers, JSON's are not."""
    return value is None or (isinstance(value, kinds) and not isinstance(value, bool))


def _time(key: str, given: Any) -> float | None:
    with suppress(UsageError, OverflowError):
        time = parse_time(given) if isinstance(given, str) else given
        if _is(time, int, float) and math.isfinite(time or 0):
            return time
    raise InputError(f"{key} must be seconds or h:mm:ss")
