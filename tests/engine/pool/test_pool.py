# SPDX-License-Identifier: Apache-2.0
"""Many engines at once, in places that only pretend: who gets what, what a death costs, when it is over."""

from __future__ import annotations

import gc
import logging
import threading
import weakref

import pytest
from engine.pool.seats import TERMS, FakeSeat, query, said, texts, until

from llava_cli.engine.pool import pool as pool_module
from llava_cli.engine.pool.pool import TRIES, EnginePool
from llava_cli.engine.pool.seam import Died, Left
from llava_cli.errors import ModelError, UsageError


@pytest.fixture
def pool_of():
    """Makes pools that are closed in any case."""
    pools: list[EnginePool] = []

    def made(*seats, **options):
        pools.append(EnginePool(seats, **options))
        return pools[-1]

    yield made
    for pool in pools:
        pool.close()


def failing(error, times=10**9):
    """Raises so many times."""
    left = [times]

    def fail(*_):
        left[0] -= 1
        if left[0] >= 0:
            raise error

    return fail


def test_each_engine_that_has_nothing_to_do_gets_a_batch(pool_of):
    going = threading.Barrier(3)

    def answer(batch):
        going.wait(30)  # both are at it at the same time
        return said(batch)

    pool = pool_of(FakeSeat(answer=answer), FakeSeat(answer=answer))
    assert pool.size == 2
    until(lambda: pool.idle() == 2)
    one, two = pool.submit([query("a")]), pool.submit([query("b"), query("c")])
    until(lambda: pool.idle() == 0)
    going.wait(30)
    assert (texts(one), texts(two)) == (["A"], ["B", "C"])
    until(lambda: pool.idle() == 2)


def test_weights_are_read_when_there_is_something_to_ask(pool_of):
    seat = FakeSeat()
    pool = pool_of(seat)
    assert pool.terms() == TERMS
    until(lambda: pool.idle() == 1)
    assert "load" not in seat.calls
    texts(pool.submit([query()]))
    texts(pool.submit([query()]))
    assert seat.calls == ["start", "load", "answer", "answer"]


def test_while_one_is_loading_another_batch_has_another_loaded(pool_of):
    both = threading.Barrier(2)
    pool = pool_of(FakeSeat(load=lambda: both.wait(30)), FakeSeat(load=lambda: both.wait(30)))
    until(lambda: pool.idle() == 2)
    first = pool.submit([query("a")])
    assert pool.idle() == 1
    assert (texts(pool.submit([query("b")])), texts(first)) == (["B"], ["A"])


def test_a_death_costs_the_batch_and_a_fresh_engine_takes_the_place(pool_of):
    seat = FakeSeat(answer=failing(Died("SIGKILL"), 5))
    pool = pool_of(seat)
    for _ in range(5):
        with pytest.raises(Died, match="SIGKILL"):
            pool.submit([query()]).result(30)
    assert texts(pool.submit([query("a")])) == ["A"]
    assert seat.calls == ["start", "load", "answer"] * 6


def test_a_bug_in_an_answer_ends_the_engine_that_had_it(pool_of):
    seat = FakeSeat(answer=failing(ZeroDivisionError("oops"), 1))
    pool = pool_of(seat)
    with pytest.raises(Died, match="oops"):
        pool.submit([query()]).result(30)
    assert texts(pool.submit([query("a")])) == ["A"]
    assert seat.calls.count("start") == 2


@pytest.mark.parametrize("step", ["start", "load"])
def test_an_engine_that_dies_before_it_answers_costs_no_question(pool_of, step):
    seat = FakeSeat(**{step: failing(Died("SIGKILL"), TRIES - 1)})
    assert texts(pool_of(seat).submit([query("a")])) == ["A"]
    assert seat.calls.count("start") == TRIES


@pytest.mark.parametrize("step", ["start", "load"])
@pytest.mark.parametrize(
    ("error", "told"), [(Died("SIGKILL"), "two: no engine can be started there (SIGKILL)"), (ModelError("bad"), "bad")]
)
def test_a_place_where_none_can_be_started_is_given_up_and_the_others_go_on(pool_of, caplog, step, error, told):
    bad = FakeSeat("two", **{step: failing(error)})
    pool = pool_of(FakeSeat(), bad)
    with caplog.at_level(logging.WARNING):
        while not bad.ended.is_set() or pool.size == 2:
            texts(pool.submit([query("a")]))
    until(lambda: caplog.messages == [f"{told}; the others go on"])
    assert bad.calls.count("start") == (TRIES if isinstance(error, Died) else 1)
    assert texts(pool.submit([query("b")])) == ["B"]


def test_where_no_engine_is_left_the_last_failure_is_told(pool_of):
    pool = pool_of(FakeSeat(start=failing(UsageError("no such device"))))
    with pytest.raises(UsageError, match="no such device"):
        pool.terms()
    until(lambda: pool.size == 1)
    with pytest.raises(UsageError, match="no such device"):
        pool.idle()


def test_a_place_that_has_left_is_not_waited_for_and_new_ones_are_used(pool_of, monkeypatch, caplog):
    gone = FakeSeat("old", start=failing(Left()))
    pool = pool_of(gone, more=True)
    assert gone.ended.wait(30)
    until(lambda: "old has left; the others go on" in caplog.messages)
    waiting = pool.submit([query("a")])
    assert pool.idle() == 0
    pool.add(FakeSeat("new"))
    assert texts(waiting) == ["A"]


def test_a_place_that_is_removed_while_it_waits_costs_nothing(pool_of):
    gone = FakeSeat("old")
    pool = pool_of(gone, FakeSeat("new"))
    until(lambda: pool.idle() == 2)
    pool.remove(gone)
    assert gone.ended.wait(30)
    until(lambda: pool.size == 1)
    assert texts(pool.submit([query("a")])) == ["A"]


def test_new_places_are_not_waited_for_for_ever(pool_of, monkeypatch):
    monkeypatch.setattr(pool_module, "PATIENCE_S", 0.0)
    pool = pool_of(FakeSeat(start=failing(Left())), more=True)

    def over() -> bool:
        try:
            return pool.idle() > 0
        except ModelError as error:
            return "no engine is left" in str(error)

    until(over)


def test_closing_ends_all_and_what_waits_is_given_up(pool_of):
    hanging = threading.Event()
    seat = FakeSeat(answer=lambda batch: hanging.wait(30) and said(batch), kill=hanging.set)
    pool = pool_of(seat)
    future, waiting = pool.submit([query()]), pool.submit([query()])
    until(lambda: "answer" in seat.calls)
    pool.close()
    assert seat.ended.is_set()
    assert "kill" in seat.calls
    assert future.done()
    assert not waiting.done()


def test_a_batch_that_was_given_up_is_not_answered(pool_of):
    seat = FakeSeat()
    pool = pool_of()
    given_up, kept = pool.submit([query("a")]), pool.submit([query("b")])
    given_up.cancel()
    pool.add(seat)
    assert texts(kept) == ["B"]
    assert seat.calls.count("answer") == 1


def test_what_was_answered_is_not_held_while_the_next_is_awaited(pool_of):
    pool = pool_of(FakeSeat())
    asked = query()
    known = weakref.ref(asked.conversation.media[0])
    texts(pool.submit([asked]))
    until(lambda: pool.idle() == 1)
    del asked
    gc.collect()
    assert known() is None
