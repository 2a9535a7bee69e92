# SPDX-License-Identifier: Apache-2.0
"""A job on its way from the list to its record."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from llava_cli.batch.feed import Keyed
from llava_cli.batch.identity import DESCRIBE
from llava_cli.batch.jobs import Job, Unusable
from llava_cli.engine.types import Answer, Generation, ModelInfo
from llava_cli.errors import LlavaError
from llava_cli.media.clip import Clip, Media
from llava_cli.models import messages
from llava_cli.models.messages import Conversation
from llava_cli.record import answer_record, error_record, path_entry

RECORD_KEYS = frozenset(
    {"schema_version", "id", "key", "status", "question", "answer", "finish_reason", "model", "media", "generation"}
    | {"usage", "timing", "warnings", "versions", "error", "batch_size", "system", "job", "same_as"}
)
"""What records hold; a list's own keys of these names are carried under `job`."""


@dataclass
class Sheaf:
    """The records of one group, handed on together once the last is there."""

    waiting: int = 0
    records: list[tuple[dict[str, Any], bool]] = field(default_factory=list)
    """Each with whether it was made in this run."""
    media: Sequence[Media] = ()


@dataclass
class Entry:
    """A job in work."""

    keyed: Keyed
    sheaf: Sheaf
    warnings: tuple[str, ...] = ()
    media: Sequence[Media] = ()
    decode_s: float = 0.0
    ask: Conversation | None = None
    tokens: int = 0

    @property
    def job(self) -> Job:
        if not isinstance(self.keyed.item, Job):
            raise TypeError("a line that is no job is not asked")
        return self.keyed.item

    @property
    def asked(self) -> Conversation:
        if self.ask is None:
            raise TypeError("the media have not been shown yet")
        return self.ask

    @property
    def most_frames(self) -> int:
        """Frames of the longest clip that is shown."""
        return max((len(medium.frames) for medium in self.media if isinstance(medium, Clip)), default=1)

    @property
    def question(self) -> str:
        """What is asked: of an image, where nothing is said, for the description of an image."""
        item = self.keyed.item
        if isinstance(item, Unusable):
            return ""
        kind = self.media[0].info.kind if self.media else "video"
        return DESCRIBE[kind] if item.question is None else item.question

    def show(self, media: Sequence[Media], decode_s: float, system: str | None) -> None:
        """The media are there: the question can be put."""
        self.media, self.decode_s = media, decode_s
        self.ask = messages.ask(self.question, media, self.job.system or system)


@dataclass(frozen=True)
class Recorder:
    """Makes the records of a run."""

    generation: Generation
    info: Callable[[], ModelInfo]
    system: str | None = None

    def answered(self, entry: Entry, answer: Answer, batch_size: int) -> dict[str, Any]:
        record = answer_record(
            entry.question, entry.media, answer, self.info(), self.generation, entry.decode_s, entry.warnings
        )
        return self._completed(record, entry, batch_size=batch_size)

    def failed(self, entry: Entry, error: LlavaError) -> dict[str, Any]:
        paths = entry.keyed.media
        record = error_record(entry.question, paths, error, self.generation, entry.media, self.info())
        return self._completed(record, entry)

    def copied(self, entry: Entry, found: Mapping[str, Any]) -> dict[str, Any]:
        """The record of the same work, done for the same contents under another name or id."""
        job = entry.job
        names = map(path_entry, job.media)
        bare = [{k: v for k, v in medium.items() if not k.startswith("path")} for medium in found["media"]]
        record = {key: value for key, value in found.items() if key in RECORD_KEYS - {"job", "system"}}
        record["media"] = [{**name, **medium} for name, medium in zip(names, bare, strict=True)]
        return self._completed(record, entry, same_as=found["id"])

    def _completed(self, record: dict[str, Any], entry: Entry, **more: Any) -> dict[str, Any]:
        item = entry.keyed.item
        system = (item.system or self.system) if isinstance(item, Job) else None
        extra = dict(item.extra) if isinstance(item, Job) else {}
        taken = {key: extra.pop(key) for key in RECORD_KEYS & extra.keys()}
        return {
            **record,
            "id": entry.keyed.id,
            "key": entry.keyed.key,
            **({"system": system} if system else {}),
            **more,
            **({"job": taken} if taken else {}),
            **extra,
        }
