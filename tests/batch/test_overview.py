# SPDX-License-Identifier: Apache-2.0
"""A ledger in numbers."""

from __future__ import annotations

from batch.writers.said import in_windows, of_all

from llava_cli.batch.overview import about, overview_of

TIMING = {"decode_s": 1.0, "encode_s": 2.0, "generate_s": 4.0}


def test_what_became_of_the_jobs_is_counted():
    done = {**of_all("A.", "a.mp4"), "timing": TIMING, "batch_size": 2, "usage": {"completion_tokens": 10}}
    done["media"][0]["frames"] = [{}] * 8
    records = [
        done,
        {**of_all(" ", "b.mp4"), "finish_reason": "length", "quality": "repetition"},
        {**done, "same_as": "x"},
        *({**one, "error": {"code": "input", "message": "gone\nmore"}} for one in in_windows(None, path="c.mp4")),
    ]
    overview = overview_of(records)
    assert dict(overview.rows()) == {
        "files": "3",
        "done": "3",
        "failed": "1",
        "empty": "1",
        "cut off": "1",
        "repeat themselves": "1",
        "frames": "16, 5.3 an answer",
        "tokens": "20, 6.7 an answer",
        "rate": "0.50 a second: decode 0.50 s, encode 0.50 s, generate 1.00 s an answer",
    }
    assert overview.failures == [("c.mp4-1-Why?", "c.mp4 0:00.000 - 0:10.000", "gone")]
    assert overview.causes == {"input": 1}


def test_an_empty_ledger_is_no_error():
    assert dict(overview_of([]).rows())["rate"] == "unknown"


def test_names_cannot_break_a_line():
    assert about(of_all("A.", "a\nb.mp4")) == "a\\nb.mp4"
