# SPDX-License-Identifier: Apache-2.0
"""Reading a list ahead: groups that share their media, parts of a list, and a thread that ends."""

from __future__ import annotations

import threading
import time

import pytest
from batch.stub import StubSession, clips

from llava_cli.batch.feed import Count, Feed, Tasks, selected
from llava_cli.batch.identity import settings_of
from llava_cli.batch.jobs import Job, Unusable
from llava_cli.engine.types import Generation
from llava_cli.errors import InputError
from llava_cli.media.named import Excerpt
from llava_cli.models.messages import MediaPath, Message
from llava_cli.request import FrameChoice, Request

DEFAULTS = Request(system="Be kind.", choice=FrameChoice(frames=6, start=1.0), generation=Generation(32))


def groups(items) -> list:
    return list(Tasks(DEFAULTS, StubSession().view, settings_of({}, Generation(32))).groups(items))


def test_jobs_that_follow_each_other_about_one_scene_are_a_group(contents):
    items = [
        Job(("a",), "Who?"), Job(("a",), "Why?"), Job(("a",), "Why?", start=3.0), Job(("b",), "Why?"),
        Unusable(5, "{", InputError("no")), Unusable(6, "{", InputError("no")), Job(("a",), "Who?"),
    ]  # fmt: skip
    found = groups(items)
    assert [[task.item for task in group.tasks] for group in found] == [items[:2], *([item] for item in items[2:])]
    assert all(task.group is group for group in found for task in group.tasks)
    assert [len(group.tasks) for group in groups([Job(("a",), str(n)) for n in range(100)])] == [64, 36]


def test_the_same_file_in_another_range_is_another_scene(contents):
    part = MediaPath("video", "a", Excerpt(start=3.0))
    said = Job((), messages=(Message("user", (MediaPath("video", "a"), "Why?")),))
    items = [Job(("a",), "Who?"), said, Job((part,), "Who?"), Job((), messages=(Message("user", (part, "Why?")),))]
    assert [[task.item for task in group.tasks] for group in groups(items)] == [items[:2], items[2:]]


def test_files_of_a_group_are_looked_at_once(monkeypatch):
    looked = []
    monkeypatch.setattr("llava_cli.batch.feed.content", lambda path, limits: looked.append(path) or path)
    groups([Job(("a", "b"), "Who?"), Job(("a", "b"), "Why?")])
    assert looked == ["a", "b"]


def test_a_job_says_what_differs_from_the_rest(contents):
    job = Job(("a",), "Why?", id=7, system="Be brief.", end=2.0, frames=3)
    (group,) = groups([job])
    (task,) = group.tasks
    choice = FrameChoice(frames=3, start=1.0, end=2.0)
    assert task.request == Request("Why?", ("a",), system="Be brief.", choice=choice, generation=Generation(32))
    assert (task.id, task.error) == (7, None)
    (plain,) = groups(clips(1))[0].tasks
    assert (plain.request.system, plain.request.choice) == ("Be kind.", DEFAULTS.choice)


def test_a_line_that_is_no_job_brings_its_error():
    error = InputError("list, line 7: is not valid JSON")
    (group,) = groups([Unusable(7, "{", error)])
    assert (group.tasks[0].error, group.tasks[0].request.names) == (error, ())


def test_a_limit_counts_what_is_left_of_a_part():
    jobs = clips(100)
    part = list(selected(jobs, (2, 3)))
    assert 20 < len(part) < 50
    assert list(selected(jobs, (2, 3), 5)) == part[:5]
    assert list(selected(jobs)) == jobs


def taken(feed: Feed) -> list:
    found = []
    while not feed.ended:
        group = feed.next(5)
        found += [] if group is None else [group]
    return found


def test_a_list_is_read_in_order_and_to_its_end():
    made = groups(clips(20))
    feed = Feed(iter(made), ahead=3)
    assert taken(feed) == made
    assert feed.next(5) is None


def test_a_list_that_cannot_be_read_on_says_so_after_what_was_read():
    made = groups(clips(2))

    def broken():
        yield from made
        raise InputError("list: cannot be read")

    feed = Feed(broken(), ahead=10)
    assert [feed.next(5), feed.next(5)] == made
    with pytest.raises(InputError, match="cannot be read"):
        feed.next(5)
    assert feed.ended


def test_a_slow_list_keeps_nobody_waiting_and_a_long_one_is_not_read_whole():
    read = []

    def slow():
        for group in groups(clips(50)):
            read.append(group)
            yield group
        threading.Event().wait()

    feed = Feed(slow(), ahead=4)
    first = feed.next(5)
    time.sleep(0.05)
    assert first is read[0]
    assert len(read) <= 6
    empty = Feed(iter(threading.Event().wait, None), ahead=4)
    assert empty.next(0) is None
    assert not empty.ended


def test_closing_ends_the_thread_though_it_waits_for_room():
    before = threading.active_count()
    ended = threading.Event()

    def endless():
        try:
            while True:
                yield from groups(clips(1))
        finally:
            ended.set()

    feed = Feed(endless(), ahead=1)
    assert feed.next(5) is not None
    feed.close()
    assert ended.wait(5)
    for _ in range(100):
        if threading.active_count() <= before:
            break
        time.sleep(0.05)
    assert threading.active_count() <= before


def test_counting_goes_on_beside_and_knows_nothing_of_a_bad_list():
    def broken():
        yield from clips(3)
        raise InputError("list: cannot be read")

    for items, known in ((lambda: clips(7), 7), (broken, None), (None, None)):
        count = Count(items)
        for _ in range(100):
            if count.value == known:
                break
            time.sleep(0.05)
        assert count.value == known
