# SPDX-License-Identifier: Apache-2.0
"""A whole from parts: when a video's windows have their answers, a question about all of them."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from llava_cli.batch.jobs import Job
from llava_cli.batch.task import RecordGroup
from llava_cli.batch.writers.writer import Writer
from llava_cli.cues import Cue
from llava_cli.media.clip import Media
from llava_cli.media.named import path_of
from llava_cli.preface import Summary
from llava_cli.words import one_line

log = logging.getLogger(__name__)


class Summaries(Writer):
    """Is given the records of windows, and then has a job for each of their videos.

    The records come from the thread that drives the batch, the jobs are taken by the one that reads the list.
    """

    def __init__(self, question: str | None) -> None:
        """`question` is about all of a video; None asks what its windows were asked."""
        self._question = question
        self._answers: dict[tuple[str, str], list[dict[str, Any]]] = {}
        self._open = 0
        self._closed = False
        self._changed = threading.Condition()

    def watched(self, groups: Iterable[RecordGroup]) -> Iterator[RecordGroup]:
        """Groups of windows as they are, noted as open until all has become of them that will."""
        for group in groups:
            with self._changed:
                self._open += 1
            group.settled = self._settle
            yield group

    def put(self, records: Sequence[tuple[dict[str, Any], bool]], media: Sequence[Media]) -> None:
        for record, _ in records:
            if record.get("window") and not record.get("title"):
                path = path_of(record["media"][0]) or ""
                self._answers.setdefault((path, record["question"]), []).append(record)

    def jobs(self) -> Iterator[Job]:
        """A job for each video of which all windows are done; waits until all has become of them that will."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed or not self._open)
        for (path, question), records in self._answers.items():
            if self._closed:
                return
            missing = records[0]["window"]["count"] - len(records)
            if missing:
                log.warning("%s: has no summary yet: other processes have %s of its windows", one_line(path), missing)
            elif any(record["status"] == "ok" for record in records):
                yield Job((), self._question or question, raw=False, summary=_summary(path, records))

    def close(self) -> None:
        """Wait for nothing more."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def discard(self) -> None:
        self.close()

    def _settle(self) -> None:
        with self._changed:
            self._open -= 1
            self._changed.notify_all()


def _summary(path: str, records: Sequence[dict[str, Any]]) -> Summary:
    done = sorted((one for one in records if one["status"] == "ok"), key=lambda one: one["window"]["number"])
    parts = [Cue(one["window"]["start"], one["window"]["end"], " ".join(one["answer"].split())) for one in done]
    return Summary(path, tuple(parts), tuple(one["id"] for one in done))
