# SPDX-License-Identifier: Apache-2.0
"""Answers about a whole video, made of those about its windows, in the same run."""

from __future__ import annotations

import json

import pytest
from batch.stub import Engine, StubSession

from llava_cli.batch.jobs import Job
from llava_cli.batch.run import open_batch
from llava_cli.batch.windows import Along
from llava_cli.batch.writers import Outputs
from llava_cli.engine.context import TooLong
from llava_cli.errors import InputError
from llava_cli.media.windows import Division
from llava_cli.request import Request

SUM_UP = Along(Division(every=5.0), summary=True, summary_question="What is it about?")


def answered(jobs, along=SUM_UP, session=None, **outputs) -> list[dict]:
    with open_batch(session or StubSession(), lambda: jobs, Request(), Outputs(**outputs), along=along) as batch:
        return [result.record for result in batch.results()]


class Session(StubSession):
    """Prompts without media are as long as their words; 60 of them fit."""

    def _prompt(self, ask, new_tokens):
        if ask.media:
            return super()._prompt(ask, new_tokens)
        words = ask.turns[-1].parts[-1].split()
        if len(words) > 60:
            raise TooLong(None, len(words), 60)
        return super()._prompt(ask, new_tokens)


@pytest.fixture(autouse=True)
def _texts_alone(monkeypatch):
    """The stub's prompts are of media; a summary has none."""
    from llava_cli.models.prompt import Prompt

    whole = StubSession._prompt

    def prompt(self, ask, new_tokens):
        return whole(self, ask, new_tokens) if ask.media else Prompt([0], (), (), 0, ask.turns[-1].parts[-1], "family")

    monkeypatch.setattr(StubSession, "_prompt", prompt)


def test_the_last_question_is_about_all_windows_and_the_record_links_them(contents):
    session = StubSession(Engine())
    *windows, whole = answered([Job(("a.mp4",), "Why?")], session=session)
    assert [record["window"]["number"] for record in windows] == [1, 2]
    assert whole["summary"] == {
        "path": "a.mp4", "windows": [record["id"] for record in windows], "words": None, "each": 1,
    }  # fmt: skip
    assert (whole["question"], whole["media"], "window" in whole) == ("What is it about?", [], False)
    asked = session.engine.batches[-1][0]
    assert "[0:00.000 - 0:05.000] 4 frames: Why?\n[0:05.000 - 0:10.000] 4 frames: Why?\n" in asked
    assert asked.endswith("\n\nWhat is it about?")


def test_each_video_and_each_question_has_its_own(contents):
    jobs = [Job(("a.mp4",), "Why?"), Job(("a.mp4",), "Who?"), Job(("b.mp4",), "Why?"), Job(("s.png",), "Why?")]
    whole = [record for record in answered(jobs, Along(Division(every=5.0), summary=True)) if "summary" in record]
    assert sorted((record["summary"]["path"], record["question"]) for record in whole) == [
        ("a.mp4", "Who?"), ("a.mp4", "Why?"), ("b.mp4", "Why?"),
    ]  # fmt: skip
    assert len({record["id"] for record in whole}) == 3  # though what was said of a.mp4 and b.mp4 is the same


def test_a_ledger_is_continued_windows_and_summaries_alike(contents, tmp_path):
    jobs, ledger = [Job(("a.mp4",), "Why?"), Job(("b.mp4",), "Why?")], tmp_path / "out.jsonl"
    first = answered(jobs, ledger=ledger)
    assert len(first) == 6
    assert answered(jobs, ledger=ledger) == []
    lines = ledger.read_text().splitlines()
    kept = [line for line in lines if not ("summary" in json.loads(line) or '"number": 2' in line)]
    ledger.write_text("".join(line + "\n" for line in kept))
    again = answered(jobs, ledger=ledger)
    assert sorted(record["id"] for record in again) == sorted(
        record["id"] for record in first if record.get("summary") or record["window"]["number"] == 2
    )


def test_of_windows_that_failed_nothing_is_told_and_of_none_there_is_no_summary(contents):
    records = answered([Job(("a.mp4",), "odd?"), Job(("bad.mp4",), "Why?")])
    assert [record["status"] for record in records] == ["error"] * 3
    assert not any("summary" in record for record in records)


def test_what_does_not_fit_is_cut_and_said(contents):
    session = Session(Engine())
    jobs = [Job(("a.mp4",), "Why " + "is this so and not otherwise " * 8 + "?")]
    whole = answered(jobs, session=session)[-1]
    assert whole["status"] == "ok"
    assert whole["summary"]["words"] is not None
    assert whole["warnings"] == [f"the summary is of the first {whole['summary']['words']} words of each part"]


def test_a_list_that_fails_ends_the_run_and_leaves_no_one_waiting(contents):
    def jobs():
        yield Job(("a.mp4",), "Why?")
        raise InputError("the list is gone")

    with (
        pytest.raises(InputError, match="the list is gone"),
        open_batch(StubSession(), jobs, Request(), along=SUM_UP) as batch,
    ):
        list(batch.results())


def test_a_run_that_is_given_up_waits_for_no_summary(contents):
    with open_batch(StubSession(), lambda: [Job(("a.mp4",), "Why?")] * 3, Request(), along=SUM_UP) as batch:
        next(batch.results())
