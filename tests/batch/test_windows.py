# SPDX-License-Identifier: Apache-2.0
"""Jobs become jobs about windows, before anything else is done with them."""

from __future__ import annotations

from collections.abc import Iterable

import pytest
from batch.stub import Pool

from llava_cli.batch.jobs import Item, Job, Unusable, job_of
from llava_cli.batch.windows import NOTHING_ALONG, Along, Windows
from llava_cli.errors import InputError
from llava_cli.media.named import Excerpt
from llava_cli.media.windows import Division, Window
from llava_cli.models.messages import MediaPath, Message
from llava_cli.preface import TITLE
from llava_cli.request import FrameChoice, Request

EVERY_5 = Along(Division(every=5.0))
ALL = FrameChoice()


def of(items: Iterable[Item], along: Along = EVERY_5, choice: FrameChoice = ALL) -> list[Item]:
    return list(Windows(along, choice, Pool().windows).of(items))


def spans(items: Iterable[Item]) -> list[tuple[str, str | None, float | None, float | None]]:
    return [(item.names[0], item.question, item.start, item.end) for item in items if isinstance(item, Job)]


def test_each_question_is_asked_of_each_window_and_those_about_one_window_follow_each_other():
    jobs = [Job(("a.mp4",), "Why?"), Job(("a.mp4",), "Who?"), Job(("b.mp4",), "Why?")]
    assert spans(of(jobs)) == [
        ("a.mp4", "Why?", 0.0, 5.0),
        ("a.mp4", "Who?", 0.0, 5.0),
        ("a.mp4", "Why?", 5.0, 10.0),
        ("a.mp4", "Who?", 5.0, 10.0),
        ("b.mp4", "Why?", 0.0, 5.0),
        ("b.mp4", "Why?", 5.0, 10.0),
    ]


def test_the_request_of_a_window_shows_it_and_says_which_it_is():
    request = of([Job(("a.mp4",), "Why?", frames=7)])[1].request(Request())
    assert request.window == Window(2, 2, 5.0, 10.0)
    assert (request.choice.start, request.choice.end, request.choice.frames) == (5.0, 10.0, 7)
    assert request.asked()["window"] == {"number": 2, "count": 2, "start": 5.0, "end": 10.0}


def test_a_job_says_for_itself_how_it_is_divided():
    jobs = [job_of({"media": "a.mp4", "question": "Why?", **more}) for more in ({"scenes": True}, {"every": "4s"}, {})]
    assert [span[2:] for span in spans(of(jobs, NOTHING_ALONG))] == [
        (0.0, 3.0), (3.0, 7.0), (7.0, 10.0), (0.0, 4.0), (4.0, 8.0), (8.0, 10.0), (None, None),
    ]  # fmt: skip


def test_only_what_is_shown_is_divided():
    medium = MediaPath(None, "a.mp4", Excerpt(start=2.0, frames=3))
    for job, choice in [
        (Job((medium,), "Why?"), FrameChoice(end=8.0)),
        (Job(("a.mp4",), "Why?", start=2.0, end=8.0), FrameChoice(start=1.0)),
    ]:
        assert [span[2:] for span in spans(of([job], choice=choice))] == [(2.0, 8.0)]
    (window,) = of([Job((medium,), "Why?", end=8.0)])
    assert window.media[0].excerpt == Excerpt(frames=3)


def test_ids_of_windows_are_their_job_s_with_a_number():
    jobs = of([Job(("a.mp4",), "Why?", id="x", extra={"label": 1})], Along(Division(every=5.0), titles=True))
    assert [(job.id, job.extra) for job in jobs] == [
        ("x#1", {"label": 1}), ("x#1-title", {"label": 1}), ("x#2", {"label": 1}), ("x#2-title", {"label": 1}),
    ]  # fmt: skip


def test_a_window_is_asked_for_its_title_once_whatever_else_it_is_asked():
    jobs = of([Job(("a.mp4",), "Why?"), Job(("a.mp4",), "Who?")], Along(Division(every=5.0), titles=True))
    assert [(job.question, job.title) for job in jobs[:3]] == [("Why?", False), ("Who?", False), (TITLE, True)]
    assert jobs[2].request(Request(raw=True)).raw is False
    assert len(jobs) == 6


def test_what_has_no_windows_is_asked_as_it_is():
    jobs = [Job(("still.png",), "Why?"), Unusable(3, "x", InputError("no job"))]
    assert of(jobs) == jobs


def test_what_cannot_be_divided_costs_its_own_jobs():
    two, history = Job(("a.mp4", "b.mp4"), "Why?"), Message("user", (MediaPath("video", "a.mp4", Excerpt(start=1)),))
    found = of([Job(("bad.mp4",), "Why?"), two, Job((), "And?", messages=(history,)), Job(("c.mp4",), "Why?")])
    assert [str(job.error) for job in found[:3]] == [
        "bad.mp4: is bad",
        "shows 2 files; windows are of one video",
        "messages: a video that becomes windows has no range of its own there",
    ]
    assert [job.error for job in found[3:]] == [None, None]


def test_a_bug_while_dividing_is_one_job_s():
    def look_up(*_: object) -> list[Window]:
        raise ZeroDivisionError

    (found,) = Windows(EVERY_5, FrameChoice(), look_up).of([Job(("a.mp4",), "Why?")])
    assert found.error.code == "bug"


@pytest.fixture
def subtitles(tmp_path):
    path = tmp_path / "subs.srt"
    path.write_text("00:01.000 --> 00:02.000\none\n\n00:04.000 --> 00:06.000\ntwo\n\n00:08.000 --> 00:09.000\nthree\n")
    return str(path)


def test_the_cues_of_each_window_go_with_it(subtitles):
    jobs = of([Job(("a.mp4",), "Why?")], Along(Division(every=5.0), subtitles))
    assert [[cue.text for cue in job.cues] for job in jobs] == [["one", "two"], ["two", "three"]]
    (whole,) = of([Job(("a.mp4",), "Why?", start=7.0)], Along(subtitles=subtitles))
    assert [cue.text for cue in whole.cues] == ["three"]
    (own,) = of([Job(("a.mp4",), "Why?", subtitles=subtitles, end=3.0)], NOTHING_ALONG)
    assert [cue.text for cue in own.request(Request()).context] == ["one"]


def test_subtitles_of_one_video_are_not_put_to_another(subtitles, tmp_path):
    jobs = of([Job(("a.mp4",), "Why?"), Job(("a.mp4",), "Who?"), Job(("b.mp4",), "Why?")], Along(subtitles=subtitles))
    assert [job.error is None for job in jobs] == [True, True, False]
    assert "is of one video" in str(jobs[2].error)
    (missing,) = of([Job(("a.mp4",), "Why?", subtitles=str(tmp_path / "none.srt"))])
    assert "none.srt: cannot be read" in str(missing.error)


def test_a_list_is_read_no_further_than_it_has_to_be():
    read = []

    def jobs():
        for number in range(1000):
            read.append(number)
            yield Job((f"{number}.mp4",), "Why?")

    items = Windows(EVERY_5, FrameChoice(), Pool().windows).of(jobs())
    next(items)
    assert len(read) <= 2
