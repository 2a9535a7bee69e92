# SPDX-License-Identifier: Apache-2.0
"""What was said along the time of one video: the notion that all formats with times share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from llava_cli.captions import PLAIN, Wording
from llava_cli.cues import Cue
from llava_cli.media.named import path_of

Record = Mapping[str, Any]


@dataclass(frozen=True)
class Track:
    """The captions of one file."""

    path: str
    cues: tuple[Cue, ...]
    """One for each window, in order; what was asked of all of a video is one cue. None of an image."""
    titles: tuple[Cue, ...] = ()
    """Of windows, where they were asked for."""
    summaries: tuple[str, ...] = ()
    """Answers about all of the video, made of those about its windows."""
    texts: tuple[str, ...] = ()
    """All captions, in the order of the windows."""


def track_of(records: Sequence[Record], wording: Wording = PLAIN) -> Track:
    """The track of the records about one file; those of failures say nothing."""
    path = next((found for record in records if (found := file_of(record)) is not None), "")
    done = sorted((record for record in records if record["status"] == "ok"), key=_when)
    asked = [record for record in done if not (record.get("title") or record.get("summary"))]
    texts = [(record, caption_of(record, wording)) for record in asked]
    cues = [
        Cue(*span, " ".join(text for _, text in same if text))
        for span, same in groupby(texts, lambda pair: span_of(pair[0]))
        if span is not None
    ]
    titles = [Cue(*span, record["answer"]) for record in done if record.get("title") and (span := span_of(record))]
    summaries = tuple(caption_of(record, wording) for record in done if record.get("summary"))
    return Track(path, tuple(cues), tuple(titles), summaries, tuple(text for _, text in texts))


def file_of(record: Record) -> str | None:
    """The file that a record is about, a summary's too; None where there is none."""
    if summary := record.get("summary"):
        return path_of(summary)
    media = record.get("media") or ()
    return path_of(media[0]) if media else None


def span_of(record: Record) -> tuple[float, float] | None:
    """From when to when what is shown lasts, in seconds; None of an image."""
    if window := record.get("window"):
        return window["start"], window["end"]
    medium = record["media"][0] if record.get("media") else {}
    duration = medium.get("duration")
    if duration is None:
        return None
    sampling = medium.get("sampling") or {}
    start, end = sampling.get("start") or 0.0, sampling.get("end")
    return start, duration if end is None else min(end, duration)


def caption_of(record: Record, wording: Wording) -> str:
    """The caption of an answer: as this run words it, or else as the record holds it."""
    made = record.get("caption")
    text = made["text"] if made and wording.changes_nothing else wording.of(record["answer"]).text
    return wording.around(" ".join(text.split()) if record.get("window") else text)


def _when(record: Record) -> tuple[float, float]:
    return span_of(record) or (0.0, 0.0)
