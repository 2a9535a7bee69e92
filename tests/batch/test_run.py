# SPDX-License-Identifier: Apache-2.0
"""A list from its opening to its end, and what is left where it is given up; also as `Model.map`."""

from __future__ import annotations

import json
import logging
import threading
import time

import pytest
from batch.stub import Engine, StubSession, clips

from llava_cli.api import Model
from llava_cli.batch.jobs import Job, Unusable
from llava_cli.batch.run import default_workers, open_batch
from llava_cli.batch.task import Failure
from llava_cli.batch.writers import Outputs
from llava_cli.engine.types import Generation
from llava_cli.errors import InputError, OutputError
from llava_cli.request import Request


def answered(items, outputs=None, session=None, **settings):
    with open_batch(
        session or StubSession(), lambda: iter(items), settings.pop("defaults", Request()), outputs or Outputs(),
        **settings,
    ) as batch:  # fmt: skip
        return list(batch.results()), batch


def test_a_ledger_is_continued_and_all_outputs_are_written(tmp_path):
    tables = {"csv": tmp_path / "t.csv", "report": tmp_path / "r.html"}
    outputs = Outputs(tmp_path / "ledger", sidecar="json", output_dir=tmp_path / "s", **tables)
    answered(clips(3), outputs)
    results, batch = answered(clips(5), outputs)
    assert (len(results), batch.tally.skipped) == (2, 3)
    assert len((tmp_path / "ledger").read_text().splitlines()) == 5
    assert len((tmp_path / "t.csv").read_text().splitlines()) == 6
    assert (tmp_path / "r.html").read_text().count("<section>") == 5
    sidecars = sorted((tmp_path / "s").rglob("*.json"))
    assert [json.loads(path.read_text())[0]["answer"] for path in sidecars] == ["4 frames: Why?"] * 5


def test_who_looks_at_records_sees_those_of_earlier_runs_too(tmp_path):
    seen: list[str] = []
    for skipped, jobs in ((0, clips(3)), (3, [*clips(5), *clips(1)])):
        seen.clear()
        look = lambda record: seen.append(record["media"][0]["path"])  # noqa: E731
        _, batch = answered(jobs, Outputs(tmp_path / "ledger"), see=look)
        assert sorted(seen) == sorted({job.names[0] for job in jobs})
        assert batch.tally.skipped >= skipped


def test_sampled_answers_are_made_one_by_one_so_that_their_seed_repeats_them():
    session = StubSession()
    answered(clips(4), session=session, defaults=Request(generation=Generation(temperature=1.0, seed=3)), batch_size=8)
    assert list(map(len, session.engine.batches)) == [1, 1, 1, 1]


def test_a_seed_that_was_drawn_is_no_new_work(tmp_path):
    asked = Generation(temperature=1.0)
    for skipped in (0, 3):
        defaults = Request(generation=asked.seeded())
        _, batch = answered(clips(3), Outputs(tmp_path / "ledger"), defaults=defaults, asked=asked)
        assert batch.tally.skipped == skipped


def test_a_run_that_is_given_up_leaves_whole_records_and_no_half_files(tmp_path):
    def begun() -> None:
        outputs = Outputs(tmp_path / "ledger", csv=tmp_path / "t.csv", report=tmp_path / "r.html")
        with open_batch(StubSession(), lambda: clips(30), Request(), outputs) as batch:
            next(iter(batch.results()))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        begun()
    assert {path.name for path in tmp_path.iterdir()} <= {"ledger", "ledger.lock"}
    assert all(json.loads(line)["status"] == "ok" for line in (tmp_path / "ledger").read_text().splitlines())


def test_an_output_that_cannot_be_opened_gives_the_ledger_back(tmp_path):
    with pytest.raises(OutputError):
        answered(clips(1), Outputs(tmp_path / "ledger", csv=tmp_path / "missing" / "t.csv"))
    assert not (tmp_path / "ledger.claims").exists()


def test_some_cores_are_left_to_the_engine(monkeypatch):
    for cores, workers, several in [(1, 1, 1), (2, 1, 1), (4, 3, 3), (64, 8, 63), (256, 8, 64)]:
        monkeypatch.setattr("llava_cli.batch.run.cores", lambda cores=cores: cores)
        assert (default_workers(), default_workers(several=True)) == (workers, several)


def test_map_gives_answers_and_failures_with_their_jobs(caplog):
    jobs = [
        Job(("a.mp4",), "Why?", id="first"),
        {"media": "bad.mp4", "question": "Why?", "id": "second", "label": 1},
        {"media": "b.mp4"},
        {"question": "Why?"},
    ]
    with caplog.at_level(logging.WARNING), Model(StubSession()) as model:
        results = list(model.map(jobs, question="What?", frames=3))
    failures = [result for result in results if isinstance(result, Failure)]
    answers = {result.job.id: result.text for result in results if result not in failures}
    assert answers == {"first": "3 frames: Why?", None: "3 frames: What?"}
    bad, line = sorted(failures, key=lambda failure: isinstance(failure.job, Unusable))
    assert (bad.job.id, bad.job.extra, str(bad.error)) == ("second", {"label": 1}, "bad.mp4: is bad")
    assert (bad.record()["status"], bad.record()["error"]["message"]) == ("error", "bad.mp4: is bad")
    assert (line.job.line, "has no media" in str(line.error)) == (4, True)
    assert caplog.messages == []


def test_map_reads_no_more_of_its_jobs_than_it_needs_and_ends_when_it_is_given_up():
    before, read = threading.active_count(), []

    def endless():
        for number in range(10**9):
            read.append(number)
            yield {"media": f"{number}.mp4", "question": "Why?"}

    session = StubSession()
    results = Model(session).map(endless())
    assert next(results).text == "4 frames: Why?"
    results.close()
    for _ in range(100):
        if threading.active_count() <= before:
            break
        time.sleep(0.05)
    assert threading.active_count() <= before
    assert len(read) < 10_000


def test_an_error_of_the_list_itself_reaches_whoever_reads_it():
    def broken():
        yield from clips(2)
        raise InputError("my list: cannot be read")

    results = Model(StubSession(Engine())).map(broken())
    with pytest.raises(InputError, match="my list"):
        list(results)
