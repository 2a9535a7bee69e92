# SPDX-License-Identifier: Apache-2.0
"""One engine: what goes wrong with a batch is told, and only an engine that answers nothing any more is given up."""

from __future__ import annotations

import pickle

import pytest
from engine.pool.seats import INFO, query, said

from llava_cli.engine.pool.runner import Attempts, OwnEngine, Runner
from llava_cli.engine.types import LoadOptions
from llava_cli.errors import ModelError, OutOfMemory, UsageError
from llava_cli.models.checkpoint import open_checkpoint


class Engine:
    """Raises what it is told for each batch; then it answers."""

    info = INFO

    def __init__(self, *raised: BaseException):
        self.raised = list(raised)

    def answer(self, batch):
        if self.raised:
            raise self.raised.pop(0)
        return said(batch).said


def test_an_answer_says_who_gave_it_and_how_long_it_took():
    outcome = Attempts(Engine).answer([query("a"), query("b")])
    assert [one.text for one in outcome.said] == ["A", "B"]
    assert outcome.model == INFO
    assert outcome.seconds > 0


@pytest.mark.parametrize(
    ("error", "code"), [(OutOfMemory("full"), "out_of_memory"), (ModelError("odd"), "model"), (KeyError("x"), "bug")]
)
def test_what_goes_wrong_is_told_without_what_it_held(logs, error, code):
    engine = Engine(error)
    outcome = Attempts(lambda: engine).answer([query()])
    assert outcome.said.code == code
    assert outcome.said.__traceback__ is outcome.said.__cause__ is outcome.said.__context__ is None


def test_five_bugs_in_a_row_are_too_many_where_nothing_else_works(logs):
    engine = Engine(*[ZeroDivisionError("oops")] * 6)
    attempts = Attempts(lambda: engine)
    for _ in range(4):
        assert attempts.answer([query()]).said.code == "bug"
    with pytest.raises(ZeroDivisionError):
        attempts.answer([query()])


def test_bugs_of_which_none_says_that_nothing_works_are_only_told(logs):
    engine = Engine(*[ZeroDivisionError("oops")] * 5)
    attempts = Attempts(lambda: engine)
    for _ in range(5):
        assert attempts.answer([query()]).said.code == "bug"
    assert [one.text for one in attempts.answer([query("a")]).said] == ["A"]


def test_the_engine_of_this_process_answers_while_it_is_handed_something():
    loaded = []
    engine = OwnEngine(lambda: loaded.append(1) or Engine())
    assert (engine.idle(), engine.size, engine.terms(), loaded) == (1, 1, None, [])
    future = engine.submit([query("a")])
    assert future.done()
    assert [one.text for one in future.result().said] == ["A"]


def test_an_engine_that_travels_says_what_it_runs_in_and_answers(folder):
    runner = pickle.loads(pickle.dumps(Runner(open_checkpoint(str(folder)), LoadOptions(device="cpu"), share=0.25)))
    whole = Runner(open_checkpoint(str(folder)), LoadOptions(device="cpu")).start()
    terms = runner.start()
    assert terms.info == whole.info
    assert (terms.info.device, terms.info.dtype) == ("cpu", "float32")
    assert terms.rooms[0].free == pytest.approx(whole.rooms[0].free / 4, rel=0.2)
    runner.load()
    outcome = runner.answer([query("What is it?")])
    assert isinstance(outcome.said, list), outcome.said
    assert outcome.model == terms.info


@pytest.mark.parametrize("step", ["load", "answer"])
def test_its_steps_have_an_order(folder, step):
    runner = Runner(open_checkpoint(str(folder)), LoadOptions(device="cpu"))
    with pytest.raises(ValueError, match=r"started|loaded"):
        getattr(runner, step)(*([[query()]] if step == "answer" else []))


def test_a_device_that_is_not_there_is_told(folder):
    with pytest.raises(UsageError, match="cuda:97"):
        Runner(open_checkpoint(str(folder)), LoadOptions(device="cuda:97")).start()
