# SPDX-License-Identifier: Apache-2.0
"""What is asked together, and what happens when it is too much."""

from __future__ import annotations

from dataclasses import replace

import pytest
from batch.stub import Engine, StubSession, clips, run

from llava_cli.batch.jobs import Job
from llava_cli.engine.shape import read_constraint
from llava_cli.errors import OutOfMemory


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
