# SPDX-License-Identifier: Apache-2.0
"""Records of windows, as far as what writes them looks at them."""

from __future__ import annotations

from typing import Any

Record = dict[str, Any]


def said(
    answer: str | None, number: int = 1, count: int = 1, start: float = 0.0, end: float = 10.0, path: str = "clip.mp4",
    question: str = "Why?", **more: Any,
) -> Record:  # fmt: skip
    """What was answered about a window; None failed."""
    window = {"number": number, "count": count, "start": start, "end": end}
    record = {
        "id": f"{path}-{number}-{question}",
        "question": question,
        "window": window,
        "media": [{"path": path, "kind": "video"}],
    }
    status = {"status": "ok", "answer": answer} if answer is not None else {"status": "error"}
    return {"schema_version": 1, **record, **status, **more}


def in_windows(*answers: str | None, length: float = 10.0, **more: Any) -> list[Record]:
    """Windows of one video that follow each other."""
    return [
        said(answer, number, len(answers), length * (number - 1), length * number, **more)
        for number, answer in enumerate(answers, 1)
    ]


def of_all(answer: str, path: str = "clip.mp4", kind: str = "video", duration: float | None = 12.0) -> Record:
    """What was answered about all of a file."""
    medium = {"path": path, "kind": kind, "duration": duration, "sampling": {"start": None, "end": None}}
    return {"schema_version": 1, "id": path, "status": "ok", "question": "Why?", "answer": answer, "media": [medium]}


def summed_up(answer: str, path: str = "clip.mp4", question: str = "Why?") -> Record:
    """What was answered about all windows of a video."""
    known = {"schema_version": 1, "id": f"{path}-{question}-summary", "question": question, "media": []}
    return {**known, "status": "ok", "answer": answer, "summary": {"path": path, "windows": []}}
