# SPDX-License-Identifier: Apache-2.0
"""What a ledger holds, counted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from llava_cli.answer import REPETITION
from llava_cli.batch.writers.track import Record, file_of
from llava_cli.media.sampling import clock
from llava_cli.words import one_line

_STEPS = ("decode_s", "encode_s", "generate_s")


@dataclass
class Overview:
    """The numbers of a ledger, and its failures."""

    files: set[str] = field(default_factory=set)
    counts: Counter[str] = field(default_factory=Counter)
    """Of records by what became of them: done, failed, empty, cut, repeated."""
    frames: int = 0
    tokens: int = 0
    seconds: Counter[str] = field(default_factory=Counter)
    """That the answers took, by step."""
    failures: list[tuple[str, str, str]] = field(default_factory=list)
    """Of each failed job: its id, what it is about, and the first line of the error."""
    causes: Counter[str] = field(default_factory=Counter)
    """How often each kind of error occurs."""

    def add(self, record: Record) -> None:
        """Count a record."""
        path = file_of(record)
        self.files |= {path} if path is not None else set()
        if record["status"] != "ok":
            error = record.get("error") or {}
            first = str(error.get("message", "")).partition("\n")[0]
            self.counts["failed"] += 1
            self.causes[str(error.get("code", ""))] += 1
            self.failures.append((str(record.get("id")), about(record), first))
            return
        self.counts["done"] += 1
        self.counts["empty"] += not record["answer"].strip()
        self.counts["cut"] += record.get("finish_reason") == "length"
        self.counts["repeated"] += record.get("quality") == REPETITION
        self.frames += sum(len(medium.get("frames", ())) for medium in record["media"])
        self.tokens += (record.get("usage") or {}).get("completion_tokens", 0)
        if "same_as" not in record:
            timing = record.get("timing") or {}
            self.counts["timed"] += 1
            self.seconds.update({step: timing.get(step, 0.0) / record.get("batch_size", 1) for step in _STEPS[1:]})
            self.seconds["decode_s"] += timing.get("decode_s", 0.0)

    def rows(self) -> list[tuple[str, str]]:
        """What there is to say, as names and values."""
        done = max(1, self.counts["done"])
        return [
            ("files", str(len(self.files))),
            *((name, str(self.counts[key])) for name, key in _NAMES.items()),
            ("frames", f"{self.frames}, {self.frames / done:.1f} an answer"),
            ("tokens", f"{self.tokens}, {self.tokens / done:.1f} an answer"),
            ("rate", self._rate()),
        ]

    def _rate(self) -> str:
        each = {step: self.seconds[step] / max(1, self.counts["timed"]) for step in _STEPS}
        if not sum(each.values()):
            return "unknown"
        steps = ", ".join(f"{step.removesuffix('_s')} {seconds:.2f} s" for step, seconds in each.items())
        return f"{1 / sum(each.values()):.2f} a second: {steps} an answer"


_NAMES = {
    "done": "done", "failed": "failed", "empty": "empty", "cut off": "cut", "repeat themselves": "repeated"
}  # fmt: skip


def overview_of(records: Iterable[dict[str, Any]]) -> Overview:
    """All records counted."""
    overview = Overview()
    for record in records:
        overview.add(record)
    return overview


def about(record: Record) -> str:
    """What a record is about, in one line: its file, and when of it."""
    window = record.get("window")
    when = f" {clock(window['start'])} - {clock(window['end'])}" if window else ""
    return f"{one_line(file_of(record) or '')}{when}"
