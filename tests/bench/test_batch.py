# SPDX-License-Identifier: Apache-2.0
"""The report about lists: each road answers the same questions."""

from __future__ import annotations

from contextlib import contextmanager

import pytest

from llava_cli.bench import batch
from llava_cli.bench.batch import QUESTIONS, Road, bench_batch


def test_every_road_answers_every_question(session, request_for, tmp_path):
    report = bench_batch(session, request_for, tmp_path, 1, 1, "llava bench batch")
    assert [row["road"] for row in report.rows] == ["plain loop", "llava caption", "llava caption, fast pixels"]
    plain, exact, fast = report.rows
    assert plain["questions"] == exact["questions"] == len(QUESTIONS)
    assert plain["same"] == exact["same"] == len(QUESTIONS)  # the same pixels, in float32
    assert fast["seconds"] > 0
    assert exact["times_as_fast"] == pytest.approx(plain["seconds"] / exact["seconds"])
    assert "GPU busy" not in report.tables[0][0]
    assert f"{len(QUESTIONS)} questions about 1 clips" in report.title


def test_roads_take_turns_and_are_compared_with_the_first(monkeypatch):
    gone: list[str] = []
    now = iter(range(0, 100, 2))
    monkeypatch.setattr(batch.time, "perf_counter", lambda: next(now))

    def road(name: str, text: str) -> Road:
        return Road(name, lambda: gone.append(name) or {("a.mp4", "Why?"): text, ("a.mp4", "Who?"): "Me."})

    rows = batch._rows([road("first", "No."), road("second", "Yes.")], 2, "cpu", lambda name: None)
    assert gone == ["first", "second"] * 2
    assert [(row["seconds"], row["per_s"], row["times_as_fast"], row["same"]) for row in rows] == [
        (2, 1, 1, 2),
        (2, 1, 1, 1),
    ]


def test_how_busy_a_gpu_was_is_told(session, request_for, tmp_path, monkeypatch):
    @contextmanager
    def busy(device):
        yield [0.5, 1.0]

    monkeypatch.setattr(batch, "gpu_busy", busy)
    report = bench_batch(session, request_for, tmp_path, 1, 1, "llava bench batch")
    assert [row["gpu_busy"] for row in report.rows] == [0.75] * 3
    assert [line[-1] for line in report.tables[0]] == ["GPU busy", "75%", "75%", "75%"]
