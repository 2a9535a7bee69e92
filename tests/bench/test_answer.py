# SPDX-License-Identifier: Apache-2.0
"""The report about an answer: every stage, beside its floor and beside transformers."""

from __future__ import annotations

import pytest

from llava_cli.bench import answer
from llava_cli.bench.answer import bench_answer
from llava_cli.bench.floors import Speed

SPEED = Speed(memory=1e9, upload=1e8, products=1e10)


@pytest.fixture
def report(session, request_for, monkeypatch):
    monkeypatch.setattr(answer, "measure", lambda device, dtype: SPEED)
    return bench_answer(session, request_for, 2, 1, "llava bench answer")


def test_every_stage_is_there(report):
    stages = {row["stage"]: row for row in report.rows}
    assert list(stages) == [
        "load", "decode", "encode", "prefill", "a token", "tokens, 1 question", "memory, 1 question",
        "tokens, 2 questions", "memory, 2 questions",
    ]  # fmt: skip
    assert all(row["llava"] is not None for name, row in stages.items() if "token" not in name)
    assert [name for name, row in stages.items() if row["floor"] is None] == ["decode"]
    assert [name for name, row in stages.items() if row["transformers"] is None and "token" not in name] == [
        "load",
        "encode",
    ]
    assert len(report.tables[0]) == len(stages) + 1


def test_floors_follow_from_the_checkpoint_and_the_machine(report, session):
    floor = {row["stage"]: row["floor"] for row in report.rows}
    weights = sum(weight.numel() * 4 for weight in session.engine.model.parameters())
    assert floor["load"] == pytest.approx(weights / SPEED.upload)
    assert 0 < floor["a token"] < weights / SPEED.memory
    assert floor["tokens, 1 question"] == pytest.approx(1 / floor["a token"])
    # Two questions read the weights once, and two caches.
    assert floor["tokens, 1 question"] < floor["tokens, 2 questions"] < 2 * floor["tokens, 1 question"]
    assert weights < floor["memory, 1 question"] < floor["memory, 2 questions"]


def test_it_says_what_was_measured(report):
    said = " ".join(report.notes)
    assert "float32 on cpu: memory 1 GB/s, matrix products 10 GFLOP/s" in said
    assert "2 frames" in said
    assert "medians of 1 runs" in said
    assert "The tokens are the same." in said


def test_a_batch_that_does_not_fit_is_halved(session, request_for, monkeypatch):
    with session.open_media() as media:
        prepared = session.prepare(request_for, media)
    plan = session.plan(prepared)
    monkeypatch.setattr(session, "plan", lambda *all_of_them: type(plan)(len(all_of_them), 0, 0, 3, fixed=0))
    assert [answer._fitting(session, prepared, batch) for batch in (1, 2, 8)] == [1, 2, 2]
