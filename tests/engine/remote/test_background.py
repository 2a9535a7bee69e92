# SPDX-License-Identifier: Apache-2.0
"""Work beside the program: it ends with whoever waits for it, and what several want is done once."""

from __future__ import annotations

import asyncio
import signal
import threading
import time
from collections.abc import Iterator

import pytest

from llava_cli.engine.remote.background import Background, shared


@pytest.fixture
def background() -> Iterator[Background]:
    beside = Background()
    yield beside
    beside.close()


class Slow:
    """Work that takes for ever, and says when it begins and is cancelled."""

    def __init__(self) -> None:
        self.begun, self.cancelled = threading.Event(), threading.Event()

    async def __call__(self) -> None:
        self.begun.set()
        try:
            await asyncio.sleep(1000)
        finally:
            self.cancelled.set()


def test_results_and_errors_come_back(background: Background) -> None:
    async def fails() -> None:
        raise LookupError("no")

    assert background.run(asyncio.sleep(0, "done")) == "done"
    with pytest.raises(LookupError, match="no"):
        background.run(fails())


def test_it_works_inside_of_a_loop_of_the_user_s_own(background: Background) -> None:
    async def of_a_notebook() -> str:
        return background.run(asyncio.sleep(0, "done"))

    assert asyncio.run(of_a_notebook()) == "done"


def test_ctrl_c_ends_the_waiting_and_cancels_the_work(background: Background) -> None:
    slow = Slow()
    main = threading.get_ident()

    def press() -> None:
        slow.begun.wait(10)
        time.sleep(0.2)  # until it is waited for
        signal.pthread_kill(main, signal.SIGINT)

    presser = threading.Thread(target=press)
    presser.start()
    with pytest.raises(KeyboardInterrupt):
        background.run(slow())
    presser.join()
    assert slow.cancelled.wait(10)


def test_closing_it_cancels_what_goes_on() -> None:
    background, slow = Background(), Slow()
    background.start(slow())
    assert slow.begun.wait(10)
    background.close()
    assert slow.cancelled.is_set()
    assert background.closed


def test_what_several_want_is_found_once_and_failures_are_not_kept(background: Background) -> None:
    calls: list[int] = []

    async def find() -> int:
        calls.append(1)
        await asyncio.sleep(0.01)
        if len(calls) == 1:
            raise LookupError("not yet")
        return len(calls)

    async def several() -> list[int | BaseException]:
        found: dict[str, asyncio.Task[int]] = {}
        wanted = [await asyncio.gather(*(shared(found, "a", find) for _ in range(3)), return_exceptions=True)
                  for _ in range(3)]  # fmt: skip
        return [one for some in wanted for one in some]

    first, *rest = background.run(several())
    assert isinstance(first, LookupError)
    assert [isinstance(one, LookupError) for one in rest[:2]] == [True, True]
    assert rest[2:] == [2] * 6
    assert len(calls) == 2


def test_one_that_does_not_wait_any_longer_leaves_it_to_the_others(background: Background) -> None:
    async def both() -> str:
        found: dict[str, asyncio.Task[str]] = {}
        first = asyncio.ensure_future(shared(found, "a", lambda: asyncio.sleep(0.05, "done")))
        await asyncio.sleep(0)
        first.cancel()
        return await shared(found, "a", lambda: asyncio.sleep(0, "again"))

    assert background.run(both()) == "done"
