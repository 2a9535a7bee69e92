# SPDX-License-Identifier: Apache-2.0
"""Jobs, and lists of them: JSON Lines and CSV. Lists are streamed: a longer one takes no more memory."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, fields, replace
from typing import Any, BinaryIO

from llava_cli.bugs import as_failure
from llava_cli.cues import Cue
from llava_cli.engine.scores import Choices
from llava_cli.engine.shape import read_constraint
from llava_cli.engine.types import SHAPES, Constraint
from llava_cli.errors import InputError, LlavaError, UsageError
from llava_cli.extras import NotInstalled
from llava_cli.media.named import WHOLE, excerpt_of, is_a, path_of
from llava_cli.media.windows import Division, Window, division_of
from llava_cli.models.messages import (
    MediaPath,
    Medium,
    Message,
    all_media,
    media_path,
    read_messages,
    shortest,
    with_paths,
    without_userinfo,
)
from llava_cli.preface import Summary
from llava_cli.request import Request
from llava_cli.texts import check_json, check_name, is_text

LONGEST_LINE = 16 << 20
"""Bytes; what is longer is no job, and is not kept in memory."""

_EXCERPT_KEYS = ("start", "end", "frames")
_DIVISION_KEYS = tuple(one.name for one in fields(Division))
_KEYS = (
    "id", "media", "question", "system", *_EXCERPT_KEYS, "messages", "raw", *_DIVISION_KEYS, "subtitles", "choices",
    *SHAPES,
)  # fmt: skip

_TRUTHS = {"true": True, "false": False}
"""What CSV's cells say."""


@dataclass(frozen=True)
class Job:
    """Some media and a question, or a conversation.

    Raises:
        InputError: a text is no text, no file can have one of the names, or a record could not carry the rest.
    """

    media: tuple[Medium, ...]
    """Those of the question."""
    question: str | None = None
    """None asks for a description, in words that depend on whether the file is a video or an image; or, where the
    messages end with the user's, nothing more than that."""
    id: str | int | None = None
    system: str | None = None
    start: float | None = None
    end: float | None = None
    frames: int | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)
    """What else the list says of the job; it is carried to the record."""
    messages: tuple[Message, ...] = ()
    """What was said before the question."""
    raw: bool | None = None
    """The question is the whole prompt."""
    constraint: Constraint | None = None
    """The shape that the answer is to have."""
    choices: tuple[str, ...] | None = None
    """The answer is the likeliest of these."""
    division: Division | None = None
    """How its video becomes windows; None leaves it to what holds for all."""
    subtitles: str | None = None
    """A file, whose cues of what is shown stand before the question."""
    window: Window | None = None
    """Which of the windows it is about; with `start` and `end`."""
    title: bool = False
    """The question is for the window's title."""
    cues: tuple[Cue, ...] = ()
    """The subtitles of what is shown."""
    summary: Summary | None = None
    """What it is about, in the place of media."""
    error: LlavaError | None = field(default=None, compare=False)
    """Why it cannot be asked, where that is known already."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "media", tuple(map(without_userinfo, self.media)))
        for name in self.names:
            check_name(name)
        for key, value in {"question": self.question, "system": self.system, "id": self.id, **self.extra}.items():
            check_json(key, value)

    @property
    def shown(self) -> tuple[MediaPath, ...]:
        """All media, those of the messages first."""
        return (*all_media(self.messages), *map(media_path, self.media))

    @property
    def names(self) -> tuple[str, ...]:
        """The names of all media."""
        return tuple(medium.path for medium in self.shown)

    @property
    def scene(self) -> tuple[object, ...]:
        """What is seen: jobs with the same scene are decoded and encoded together."""
        shown = tuple((medium.path, medium.excerpt) for medium in self.shown)
        return shown, self.start, self.end, self.frames, self.division, self.subtitles, self.summary

    def request(self, defaults: Request) -> Request:
        """What is asked; where the job does not say, it is as in `defaults`."""
        own = {key: value for key in _EXCERPT_KEYS if (value := getattr(self, key)) is not None}
        raw = defaults.raw if self.raw is None else self.raw
        # What is said for all is not for a prompt that is whole by itself.
        system, template = (None, None) if raw else (defaults.system, defaults.template)
        return replace(
            defaults,
            question=defaults.question if self.question is None and not self.messages else self.question,
            media=self.media,
            history=self.messages,
            system=self.system or system,
            raw=raw,
            template=template,
            choice=replace(defaults.choice, **own),
            window=self.window,
            title=self.title,
            context=self.cues,
            summary=self.summary,
            choices=self._own(self.choices, defaults.choices),
            logprobs=defaults.logprobs if self.choices is None else None,
            constraint=self._own(self.constraint, defaults.constraint),
        )

    def _own(self, own: Any, default: Any) -> Any:
        """How this job's answer is found, or else how all are: not where it says another way, or wants a title."""
        says_how = self.title or self.choices is not None or self.constraint is not None
        return own if says_how else default


@dataclass(frozen=True)
class Unusable:
    """A line of a list that is no job."""

    line: int
    text: str
    """As it stands in the list, cut short."""
    error: LlavaError
    id: str | int | None = None
    """The job's own, where the line tells that much."""


Item = Job | Unusable


def read_jsonl(stream: BinaryIO, name: str, question: str | None = None) -> Iterator[Item]:
    """The jobs of a list in JSON Lines; `question` is for those that ask none."""
    for number, line in enumerate(lines(stream), 1):
        if not line.strip():
            continue
        text = line.decode("utf-8", "surrogateescape").strip().removeprefix("\ufeff")
        content: dict[str, Any] = {}
        try:
            content = _object(line, text)
            yield job_of(content, question)
        except Exception as error:
            yield _unusable(number, text, name, error, content)


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
        content: dict[str, Any] = {}
        try:
            content = _from_row(columns, row)
            yield job_of(content, question)
        except Exception as error:
            yield _unusable(rows.line_num, json.dumps(row), name, error, content)


def items_of(jobs: Iterable[Job | Mapping[str, Any]], question: str | None = None) -> Iterator[Item]:
    """The jobs of a program; those that are mappings have the keys of a list's lines."""
    for number, job in enumerate(jobs, 1):
        try:
            yield job if isinstance(job, Job) else job_of(job, question)
        except Exception as error:
            yield _unusable(number, str(job), "jobs", error, job)


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


def _unusable(number: int, text: str, name: str, error: Exception, content: object = None) -> Unusable:
    """A line that is no job, whatever is wrong with it; of its content the id is kept, if that is one.

    Raises:
        NotInstalled: it wants what only an extra brings.
    """
    id = content.get("id") if isinstance(content, Mapping) else None
    if isinstance(error, NotInstalled):
        raise error  # which is no line's fault
    known = id if id is not None and is_a(id, str, int) and is_text(id) else None
    failure = InputError(f"{name}, line {number}: {as_failure(error)}", code="job")
    return Unusable(number, text[:2000], failure, known)


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
    for key in ("media", "messages", "choices"):
        if content.get(key, "").startswith("["):  # a JSON list; or a name that begins with a bracket
            with suppress(ValueError, RecursionError):
                content[key] = json.loads(content[key])
    if content.get("frames", "").isdecimal() and len(content["frames"]) < 10:
        content["frames"] = int(content["frames"])
    for key in ("raw", "scenes"):
        if content.get(key, "").lower() in _TRUTHS:
            content[key] = _TRUTHS[content[key].lower()]
    return content


def job_of(content: Mapping[str, Any], question: str | None = None) -> Job:
    """The job that an object of a list describes; `question` is for one that asks none.

    Raises:
        InputError: a key is missing, or its value makes no sense.
    """
    id, system, raw = (content.get(key) for key in ("id", "system", "raw"))
    if not is_a(id, str, int):
        raise InputError("id must be a text or a whole number")
    if not is_a(system, str):
        raise InputError("system must be a text")
    if not isinstance(raw, bool | None):
        raise InputError("raw must be true or false")
    subtitles = content.get("subtitles")
    if not is_a(subtitles, str):
        raise InputError("subtitles must be the path of a file")
    messages, media = _shown(content)
    excerpt = excerpt_of({key: content.get(key) for key in _EXCERPT_KEYS})
    return Job(
        media=media,
        question=_question(content, messages, media, question),
        id=id,
        system=system,
        start=excerpt.start,
        end=excerpt.end,
        frames=excerpt.frames,
        extra={key: value for key, value in content.items() if key not in _KEYS},
        messages=messages,
        raw=raw,
        division=division_of(content),
        subtitles=subtitles,
        choices=_choices(content.get("choices")),
        constraint=_constraint(content),
    )


def _choices(given: Any) -> tuple[str, ...] | None:
    """What a list says of choices; one text, as tables have it, has commas between them."""
    if given is None:
        return None
    texts = given.split(",") if isinstance(given, str) else given
    if not isinstance(texts, list | tuple) or not all(isinstance(text, str) for text in texts):
        raise InputError("choices must be a list of texts")
    try:
        return Choices(tuple(texts)).texts
    except UsageError as error:
        raise InputError(f"choices: {error}") from error


def _constraint(content: Mapping[str, Any]) -> Constraint | None:
    """The shape of the answer. A list may be anyone's: no text in it is the name of a file."""
    given = {kind: content.get(kind) for kind in SHAPES}
    for kind, value in given.items():
        if not isinstance(value, str | Mapping | None if kind == "schema" else str | None):
            raise InputError(f"{kind} must be a text{' or an object' if kind == 'schema' else ''}")
    try:
        return read_constraint(**given, files=False)
    except NotInstalled:
        raise
    except UsageError as error:
        raise InputError(str(error)) from error


def _question(
    content: Mapping[str, Any], messages: Sequence[Message], media: Sequence[Medium], default: str | None
) -> str | None:
    given = content.get("question")
    if messages and messages[-1].role == "user" and given is None:
        if media:
            raise InputError("has more media than its messages have places for, and no question about them")
        return None
    given = default if given is None else given
    if not isinstance(given, str) or not given.strip():
        raise InputError("has no question: a text that is not empty")
    return given


def _shown(content: Mapping[str, Any]) -> tuple[tuple[Message, ...], tuple[Medium, ...]]:
    """The messages, and the media of the question."""
    said = content.get("messages")
    media = () if said is not None and content.get("media") is None else _media(content.get("media"))
    if said is None:
        return (), media
    try:
        messages, media = with_paths(read_messages(said, "messages", str), media)
    except UsageError as error:
        raise InputError(f"messages: {error}") from error
    if not (media or all_media(messages)):
        raise InputError("messages: show no video and no image")
    return messages, media


def _media(given: Any) -> tuple[Medium, ...]:
    parts = given if isinstance(given, list | tuple) else [given]
    media = [_medium(part) for part in parts if path_of(part)]
    if not media or len(media) < len(parts):
        raise InputError("has no media: a path, or a list of paths")
    return tuple(media)


def _medium(given: Any) -> Medium:
    # What a record says of a medium is how it was shown, not how it is to be.
    told = isinstance(given, dict) and "kind" not in given
    try:
        return shortest(MediaPath(None, path_of(given) or "", excerpt_of(given) if told else WHOLE))
    except InputError as error:
        raise InputError(f"media: {error}") from error
