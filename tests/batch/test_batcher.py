# SPDX-License-Identifier: Apache-2.0
"""What is asked together, and what happens when it is too much."""

from __future__ import annotations

import logging
from dataclasses import replace

import pytest
from batch.engines import Several
from batch.stub import Engine, StubSession, clips, run

from llava_cli.batch.jobs import Job
from llava_cli.batch.ledger import MemoryLedger
from llava_cli.batch.run import open_batch
from llava_cli.engine.remote.endpoint import Endpoint
from llava_cli.engine.shape import read_constraint
from llava_cli.engine.types import SomeFailed, Unreachable
from llava_cli.errors import LlavaError, ModelError, OutOfMemory
from llava_cli.request import Request


def test_every_job_is_answered_in_batches_of_what_fits():
    done = run(clips(40))
    assert sorted(record["media"][0]["path"] for record in done.records) == sorted(f"{n}.mp4" for n in range(40))
    assert max(map(len, done.engine.batches)) == 8
    assert {record["batch_size"] for record in done.records} == set(map(len, done.engine.batches))
    assert (done.tally.done, done.tally.failed) == (40, 0)


def test_a_batch_size_is_a_bound():
    assert max(map(len, run(clips(20), limit=3).engine.batches)) == 3


def test_single_questions_are_batched_with_those_of_their_length():
    items = [Job((f"{n}.mp4",), "short?" if n % 2 else "a much longer question?" * 3) for n in range(16)]
    done = run(items, window=16)
    assert all(len(set(map(len, batch))) == 1 for batch in done.engine.batches)
    assert sorted(map(len, done.engine.batches)) == [8, 8]


def test_memory_that_runs_out_halves_the_batch_and_is_remembered():
    done = run(clips(24), Engine(holds=3), window=8)
    assert done.tally.done == 24
    sizes = list(map(len, done.engine.batches))
    assert sizes[:3] == [8, 4, 2]
    assert max(sizes[3:]) == 2
    assert done.batcher.limit == 2


@pytest.mark.parametrize(("question", "code"), [("odd?", "model"), ("bug?", "bug")])
def test_one_job_that_the_engine_refuses_costs_no_other(question, code):
    items = clips(8)
    items[3] = Job(("3.mp4",), question)
    done = run(items)
    assert done.tally.done == 7
    (failed,) = [record for record in done.records if record["status"] == "error"]
    assert (failed["error"]["code"], failed["question"]) == (code, question)


def test_an_engine_that_is_broken_for_good_ends_the_run():
    class Dead(Engine):
        def answer(self, batch):
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        run(clips(50), Dead())


def test_however_many_jobs_meet_a_bug_none_of_the_others_is_lost(logs):
    done = run([*clips(20, "bug?"), *clips(25)[20:]])
    assert (done.tally.done, done.tally.failed) == (5, 20)
    (log,) = logs.iterdir()
    assert "ZeroDivisionError: oops" in log.read_text()
    assert all(str(log) in r["error"]["message"] for r in done.records if r["status"] == "error")


@pytest.mark.parametrize(
    ("error", "code"), [(MemoryError(), "out_of_memory"), (type("Panic", (BaseException,), {})(), "bug")]
)
def test_what_is_no_ordinary_exception_costs_one_job_too(error, code):
    """Libraries written in Rust raise something of their own when they panic."""

    class Odd(Engine):
        def answer(self, batch):
            if any("bug" in query.conversation.turns[-1].parts[-1] for query in batch):
                raise error
            return super().answer(batch)

    done = run([*clips(2), Job(("2.mp4",), "bug?"), *clips(5)[3:]], Odd())
    assert [r["error"]["code"] for r in done.records if r["status"] == "error"] == [code]
    assert done.tally.done == 4


def test_an_engine_that_loses_an_answer_is_found_out():
    class Losing(Engine):
        def answer(self, batch):
            return super().answer(batch)[: 1 if len(batch) > 1 else None]

    assert run(clips(6), Losing()).tally.done == 6  # one by one


def test_a_batch_takes_nine_tenths_of_what_was_free():
    session = StubSession()
    session.free = 5.0
    assert max(map(len, run(clips(20), session=session).engine.batches)) == 4


def test_a_checkpoint_that_cannot_be_loaded_ends_the_run():
    class Unloadable(StubSession):
        @property
        def engine(self):
            raise OutOfMemory("does not fit")

        @engine.setter
        def engine(self, engine):
            pass

    with pytest.raises(OutOfMemory, match="does not fit"):
        run(clips(3), session=Unloadable())


class Telling(Engine):
    """Knows which of several questions fail."""

    def __init__(self, failure: LlavaError) -> None:
        super().__init__()
        self._failure = failure

    def answer(self, batch):
        answers = super().answer(batch)
        outcomes = [self._failure if "bad" in answer.text else answer for answer in answers]
        if self._failure in outcomes:
            raise self._failure if len(batch) == 1 else SomeFailed(outcomes)
        return answers


def test_an_engine_that_knows_who_failed_is_asked_once():
    items = clips(8)
    items[3] = Job(("3.mp4",), "bad?")
    done = run(items, Telling(ModelError("no", code="refused")))
    assert [len(batch) for batch in done.engine.batches] == [8]
    assert (done.tally.done, done.tally.failed) == (7, 1)
    (failed,) = [record for record in done.records if record["status"] == "error"]
    assert failed["error"] == {"code": "refused", "message": "no"}


@pytest.mark.parametrize("batch_size", [1, 8])
def test_where_nobody_answers_any_more_the_run_ends_and_what_was_answered_is_kept(batch_size):
    items = clips(8)
    items[3] = Job(("3.mp4",), "bad?")
    ledger = MemoryLedger()
    kept: list[dict] = []
    append = ledger.append
    ledger.append = lambda record: (kept.append(record), append(record))[1]
    with pytest.raises(Unreachable):
        run(items, Telling(Unreachable("gone")), ledger=ledger, limit=batch_size)
    assert {record["status"] for record in kept} == {"ok"}
    assert len(kept) == (7 if batch_size == 8 else 3)


def test_a_server_is_asked_whatever_comes_first_however_it_is_grouped():
    session = StubSession()
    session.endpoint = Endpoint("http://h/v1")
    items = [Job((f"{n // 3}.mp4",), f"{n}?") for n in range(9)]
    done = run(items, session=session, limit=4, window=9)
    assert [len(batch) for batch in done.engine.batches] == [4, 4, 1]
    assert [question for batch in done.engine.batches for question in batch] == [f"{n}?" for n in range(9)]


class Looping(Engine):
    """Greedy, it repeats itself."""

    def answer(self, batch):
        found = super().answer(batch)
        return [
            one if query.generation.do_sample else replace(one, text="on and on " * 20)
            for one, query in zip(found, batch, strict=True)
        ]


def test_an_answer_that_repeats_itself_is_asked_once_more_where_that_is_wanted(contents):
    session = StubSession(Looping())
    jobs = [Job((f"{n}.mp4",), "Why?") for n in range(2)]
    with open_batch(session, lambda: jobs, Request(retry_loops=True)) as batch:
        records = [result.record for result in batch.results()]
    assert [record["answer"] for record in records] == ["4 frames: Why?"] * 2
    assert not any("quality" in record for record in records)
    assert {record["generation"]["temperature"] for record in records} == {0.7}
    assert records[0]["warnings"] == ["the first answer repeated itself: asked once more with sampling"]
    assert (batch.tally.repeated, batch.tally.repetitions()) == (0, None)


def test_one_that_still_does_is_marked_and_counted(contents):
    with open_batch(StubSession(Looping()), lambda: [Job(("a.mp4",), "Why?")], Request()) as batch:
        (record,) = [result.record for result in batch.results()]
    assert (record["quality"], record["generation"]["temperature"]) == ("repetition", None)
    assert batch.tally.repetitions() == "1 answer repeats itself"


def test_a_job_that_ends_three_engines_is_an_error_and_costs_no_other(caplog):
    session = StubSession()
    session.engines = Several(2)
    items = clips(8)
    items[3] = Job(("3.mp4",), "deadly?")
    with caplog.at_level(logging.WARNING):
        done = run(items, session=session)
    (failed,) = [record for record in done.records if record["status"] == "error"]
    assert (failed["media"][0]["path"], failed["error"]["code"]) == ("3.mp4", "engine_died")
    assert failed["error"]["message"] == "3.mp4: 3 engines have ended over it (SIGKILL)"
    assert (done.tally.done, done.tally.failed) == (7, 1)
    deadly = [batch for batch in session.engines.handed_out if "deadly?" in batch]
    assert [len(batch) for batch in deadly] == [4, 1, 1]
    # Those that were with it are asked once more, each alone; the others are not.
    asked = sum(map(len, session.engines.handed_out))
    assert asked == 8 + 3 + 2
    assert caplog.messages[0] == "an engine has ended (SIGKILL); asking again what it had in hand: 4 questions"


def test_a_job_that_dies_with_others_is_not_blamed():
    """Ten deadly ones among a hundred: each batch has one, and nobody else is lost."""
    session = StubSession()
    session.engines = Several(3)
    done = run([Job((f"{n}.mp4",), "deadly?" if n % 10 == 0 else "Why?") for n in range(100)], session=session)
    failed = [record["media"][0]["path"] for record in done.records if record["status"] == "error"]
    assert sorted(failed) == sorted(f"{n}.mp4" for n in range(0, 100, 10))
    assert done.tally.done == 90


def test_what_is_ready_is_shared_among_the_engines_that_wait():
    session = StubSession()
    session.engines = Several(3, lazy=True)
    run(clips(12), session=session)
    assert [len(batch) for batch in session.engines.handed_out[:3]] == [4, 4, 4]


def test_memory_that_runs_out_on_one_engine_halves_the_batches_of_all():
    session = StubSession()
    session.free = 100.0
    session.engines = Several(2, lazy=True)
    session.engines.engine = Engine(holds=3)
    done = run(clips(60), session=session, window=16)
    assert done.tally.done == 60
    assert done.batcher.limit <= 3
    assert max(map(len, session.engines.handed_out[-5:])) <= 3


def test_answers_that_do_not_have_their_shapes_fail_alone():
    """Those that were to have a schema's say what they say, for programs."""
    shapes = [read_constraint(regex=r"\d+ frames: .*"), read_constraint("a int"), None]
    items = [Job((f"{n}.mp4",), "Why?", constraint=shape) for n, shape in enumerate(shapes)]
    done = run(items)
    fitting, other, free = sorted(done.records, key=lambda record: record["media"][0]["path"])
    assert (fitting["status"], fitting["regex"], fitting["answer"]) == ("ok", r"\d+ frames: .*", "4 frames: Why?")
    assert (other["status"], other["error"]["code"]) == ("error", "shape")
    assert (other["schema"], "answer" in other, "parsed" in other) == (shapes[1].text, False, False)
    assert (free["status"], {"schema", "regex", "parsed"} & free.keys()) == ("ok", set())
    assert [len(batch) for batch in done.engine.batches] == [3]
    assert (done.tally.done, done.tally.failed) == (2, 1)


def test_an_answer_that_is_cut_off_fails_with_how_it_ended():
    class Cutting(Engine):
        def answer(self, batch):
            return [replace(answer, finish_reason="length") for answer in super().answer(batch)]

    free, shaped = run([*clips(1), *clips(1, constraint=read_constraint(regex=".*"))], Cutting()).records
    assert (free["status"], free["finish_reason"]) == ("ok", "length")
    assert (shaped["status"], shaped["error"]["code"], shaped["finish_reason"]) == ("error", "cut", "length")


def test_what_was_said_in_a_shape_is_said_of_copies_too():
    class Saying(Engine):
        def answer(self, batch):
            return [replace(answer, text='{"a":7}') for answer in super().answer(batch)]

    items = [Job(("a.mp4",), "Why?", id=number, constraint=read_constraint("a int")) for number in (1, 2)]
    first, copy = run(items, Saying()).records
    assert first["parsed"] == copy["parsed"] == {"a": 7}
    assert copy["same_as"] == 1
