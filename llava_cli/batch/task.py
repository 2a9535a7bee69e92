# SPDX-License-Identifier: Apache-2.0
"""A job on its way from the list to its record."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from typing import Any

from llava_cli.answer import Answer, Prepared
from llava_cli.batch.identity import Mark, content, identity, mark
from llava_cli.batch.jobs import Item, Job
from llava_cli.bugs import as_failure
from llava_cli.engine.types import SHAPES, ModelInfo
from llava_cli.errors import InputError, LlavaError
from llava_cli.media.clip import Media
from llava_cli.media.worker.wire import DecoderBug
from llava_cli.models.messages import shortest
from llava_cli.record import error_entry, error_record
from llava_cli.request import TOLD_IF_SET, Request
from llava_cli.texts import path_entry

RECORD_KEYS = frozenset(
    {"schema_version", "id", "key", "status", "answer", "finish_reason", "model", "media", "usage", "timing"}
    | {"warnings", "versions", "error", "batch_size", "job", "same_as", "prompt_text", "prompt_ids", "answer_ids"}
    | {"quality", "caption", "confidence", "choices", "normalize", "logprobs", "answer_tokens", "parsed", *SHAPES}
    | Request().asked().keys()
    | TOLD_IF_SET
)
"""What records hold; a list's own keys of these names are carried under `job`."""


@dataclass(eq=False)
class RecordGroup:
    """Jobs that follow each other in the list and show the same media. Their records are handed on together."""

    tasks: list[Task] = field(default_factory=list)
    contents: dict[str, str] = field(default_factory=dict)
    """What its files held when its work was named; see `identity.content`."""
    marks: dict[str, Mark | None] = field(default_factory=dict)
    """By which it shows that they have not been touched since."""
    media: Sequence[Media] = ()
    """What was shown last."""
    records: list[tuple[dict[str, Any], bool]] = field(default_factory=list)
    """Each with whether it was made in this run."""
    waiting: int = 0
    """How many things must happen before the last record is there."""
    settled: Callable[[], None] = lambda: None
    """Called when all has become of its jobs that will."""

    def check_unchanged(self) -> None:
        """Make sure that what has been decoded is what the work's key is of.

        Raises:
            InputError: a file has been changed or replaced meanwhile.
        """
        for path, before in self.marks.items():
            if mark(path) != before and content(path) != self.contents[path]:
                raise InputError(f"{path}: was changed while it was read; the next run takes it as it is then",
                                 code="changed")  # fmt: skip


@dataclass(eq=False)
class Task:
    """One job's life: what the list says, and what has become of it so far."""

    item: Item
    key: str
    """Of the work: see `identity`."""
    id: str | int
    request: Request
    """As it was made to fit."""
    group: RecordGroup
    error: LlavaError | None = None
    """Why it cannot be asked, where that is known before its files are looked at."""
    media: Sequence[Media] = ()
    decode_s: float = 0.0
    prepared: Prepared | None = None
    """Once its media are there and its prompt fits."""
    repeating: Answer | None = None
    """The first answer, where that repeats itself and the question is asked once more."""
    deaths: int = 0
    """How many engines have ended while they had it in hand."""

    @cached_property
    def identity(self) -> bytes:
        """What the ledger knows its record by."""
        return identity(self.key, self.id, self.request.names)

    @property
    def ready(self) -> Prepared:
        """The request that can be answered now."""
        if self.prepared is None:
            raise ValueError("its media have not been shown yet")
        return self.prepared

    def answered(self, answer: Answer, batch_size: int) -> dict[str, Any]:
        """The record of an answer."""
        return self._completed(answer.record_of(self.id), batch_size=batch_size)

    def failed(self, error: LlavaError, model: ModelInfo) -> dict[str, Any]:
        """The record of a failure, with all that is known."""
        asked, names = self.request.asked(self.media), tuple(map(shortest, self.request.shown))
        return self._completed(error_record(error, asked, names, self.media, asdict(model), self.id))

    def copied(self, found: Mapping[str, Any]) -> dict[str, Any]:
        """The record of the same work, done for the same contents under another name or id."""
        bare = [{k: v for k, v in medium.items() if not k.startswith("path")} for medium in found["media"]]
        # Whose window it was, and what was made of the answer, is its own.
        record = {key: value for key, value in found.items() if key in RECORD_KEYS - TOLD_IF_SET - {"job", "caption"}}
        names = map(path_entry, self.request.names)
        # The question may be in the words of a medium's kind, and the choices have their probabilities.
        own = self.request.asked()
        record |= {key: value for key, value in own.items() if key not in ("question", "choices")}
        record["media"] = [{**name, **medium} for name, medium in zip(names, bare, strict=True)]
        if not self.request.wording.changes_nothing:
            record["caption"] = self.request.wording.of(record["answer"]).entry()
        return self._completed(record, same_as=found["id"])

    def shared(self, answer: Answer) -> Answer:
        """The answer to the same question about the same contents, under this job's names."""
        job = self.item if isinstance(self.item, Job) else None
        named = {
            id(medium): replace(medium, info=replace(medium.info, path=name))
            for medium, name in zip(answer.media, self.request.names, strict=True)
        }
        media = tuple(named[id(medium)] for medium in answer.media)
        prepared = replace(answer.prepared, request=self.request, media=media)
        completion = replace(answer.completion, media=tuple(named[id(medium)] for medium in answer.completion.media))
        return replace(answer, prepared=prepared, completion=completion, job=job)

    def _completed(self, record: dict[str, Any], **more: Any) -> dict[str, Any]:
        extra = dict(self.item.extra) if isinstance(self.item, Job) else {}
        taken = {key: extra.pop(key) for key in RECORD_KEYS & extra.keys()}
        return {
            **record,
            "id": self.id,
            "key": self.key,
            **more,
            **({"job": taken} if taken else {}),
            **extra,
        }


@dataclass(frozen=True)
class Result:
    """What came of one job; its record is in the ledger."""

    job: Item
    record: dict[str, Any]
    answer: Answer | None = None
    """None where it failed, or where an earlier run has answered the same."""
    error: LlavaError | None = None


@dataclass(frozen=True)
class Failure:
    """In the place of the answer to a job that has none."""

    job: Item
    error: LlavaError
    known: Mapping[str, Any] = field(repr=False)

    def record(self) -> dict[str, Any]:
        """The same keys as the command line's records of failures; see llava-record(5)."""
        return dict(self.known)


def failure_of(error: BaseException, names: Sequence[str]) -> LlavaError:
    """What a decoder raised, as the error of the job about these files."""
    if isinstance(error, DecoderBug):
        return InputError(f"{', '.join(names)}: cannot be decoded: {str(error).splitlines()[-1]}", code="decoder")
    return as_failure(error)


def spoiled(record: Mapping[str, Any], error: LlavaError) -> dict[str, Any]:
    """The record of a failure in the place of that of an answer, with all else that it tells."""
    of_answers = {
        "answer", "parsed", "finish_reason", "confidence", "answer_tokens", "usage", "timing", "warnings", "batch_size",
        "same_as",
    }  # fmt: skip
    known = {key: value for key, value in record.items() if key not in of_answers}
    return known | {"status": "error", "error": error_entry(error)}
