# SPDX-License-Identifier: Apache-2.0
"""Lists of jobs: what is a job, what is a line with an error, and how little memory a long list takes."""

from __future__ import annotations

import io
import json
import os
import sys
import tracemalloc
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from llava_cli.batch.jobs import LONGEST_LINE, Job, Unusable, items_of, job_of, lines, read_csv, read_jsonl
from llava_cli.engine.scores import Choices
from llava_cli.engine.shape import read_constraint
from llava_cli.errors import InputError
from llava_cli.extras import NotInstalled
from llava_cli.media.named import Excerpt
from llava_cli.media.windows import Division
from llava_cli.models.messages import MediaPath, Message
from llava_cli.request import FrameChoice, Request


def jobs(*content: object) -> list:
    text = "".join(line if isinstance(line, str) else json.dumps(line) + "\n" for line in content)
    return list(read_jsonl(io.BytesIO(text.encode("utf-8", "surrogateescape")), "list"))


def test_a_job_and_what_the_list_says_beside_it():
    (job,) = jobs(
        {"id": 7, "media": ["a.mp4", "b.png"], "question": "Why?", "system": "Be brief.", "start": "1:30", "end": 120.5,
         "frames": 16, "label": {"cat": 1}}
    )  # fmt: skip
    assert job == Job(("a.mp4", "b.png"), "Why?", 7, "Be brief.", 90.0, 120.5, 16, {"label": {"cat": 1}})
    (job,) = jobs({"media": "a.mp4", "question": "USER: <video> ", "raw": True})
    assert job == Job(("a.mp4",), "USER: <video> ", raw=True)


def test_choices_of_a_job_s_own_take_the_place_of_those_for_all():
    yes_no, colours = jobs(
        {"media": "a.mp4", "question": "Is it?", "choices": ["yes", "B, or C"]},
        {"media": "a.mp4", "question": "Which?", "choices": "red, blue"},
    )
    assert (yes_no.choices, colours.choices) == (("yes", "B, or C"), ("red", "blue"))
    for_all = Request(choices=("a", "b"), normalize="tokens")
    assert yes_no.request(for_all).choosing == Choices(("yes", "B, or C"), "tokens")
    assert Job(("a.mp4",), "Why?").request(for_all).choosing == Choices(("a", "b"), "tokens")
    assert yes_no.request(Request(logprobs=3)).logprobs is None
    assert Job(("a.mp4",), "Why?").request(Request(logprobs=3)).logprobs == 3


def test_choices_in_a_table_have_commas_between_them_or_are_a_json_list():
    table = b'media,question,choices\na.mp4,Why?,"yes,no"\na.mp4,Why?,"[""yes"", ""B, or C""]"\na.mp4,Why?,\n'
    assert [job.choices for job in read_csv(io.BytesIO(table), "list")] == [("yes", "no"), ("yes", "B, or C"), None]


def test_a_question_for_jobs_that_have_none():
    line = io.BytesIO(b'{"media": "a.mp4"}\n{"media": "b.mp4", "question": "Who?"}')
    assert [job.question for job in read_jsonl(line, "list", "What?")] == ["What?", "Who?"]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{\n", "not valid JSON"), ("[1]\n", "not a JSON object"), ("\x00\n", "not valid JSON"),
        ("[" * 100_000 + "\n", "not valid JSON"),
        ({"media": "a.mp4"}, "no question"), ({"media": "a.mp4", "question": " "}, "no question"),
        ({"media": "a.mp4", "question": 3}, "no question"), ({"question": "Why?"}, "no media"),
        ({"media": [], "question": "Why?"}, "no media"), ({"media": ["a", 1], "question": "Why?"}, "no media"),
        ({"media": "a", "question": "Why?", "id": [1]}, "id"),
        ({"media": "a", "question": "Why?", "frames": 0}, "frames"),
        ({"media": "a", "question": "Why?", "frames": True}, "frames"),
        ({"media": "a", "question": "Why?", "start": "soon"}, "start"),
        ('{"media": "a", "question": "Why?", "end": NaN}\n', "end"),
        ({"media": "a", "question": "Why?", "system": 1}, "system"),
        ({"media": "a", "question": "Why?", "raw": "yes"}, "raw must be true or false"),
        ({"media": "a", "question": "Why?", "raw": 1}, "raw must be true or false"),
        ({"media": "a", "question": "Why?", "choices": ["yes"]}, "choices: choices are at least two"),
        ({"media": "a", "question": "Why?", "choices": ["yes", 1]}, "choices must be a list of texts"),
        ({"media": "a", "question": "Why?", "choices": {"yes": "no"}}, "choices must be a list of texts"),
        ({"media": "a\ud800.mp4", "question": "Why?"}, "media: 'a\\ud800.mp4' cannot be a file's name"),
        ({"media": "a", "question": "Why?", "start": 10**400}, "start"),
        ({"media": "a", "question": "Why?", "start": "9" * 5000}, "start"),
        ('{"media": "a", "question": "Why?", "score": NaN}\n', "score: cannot be kept in a record"),
    ],
)  # fmt: skip
def test_a_bad_line_names_its_number_and_the_list_goes_on(line, message):
    good = {"media": "a.mp4", "question": "Why?"}
    first, bad, last = jobs(good, line, good)
    assert (first, last) == (Job(("a.mp4",), "Why?"),) * 2
    assert isinstance(bad, Unusable)
    assert str(bad.error).startswith("list, line 2: ")
    assert message in str(bad.error)


def test_names_of_any_bytes():
    (job,) = jobs('{"media": "a\\udcff.mp4", "question": "Why?"}\n')
    assert os.fsencode(job.media[0]) == b"a\xff.mp4"
    (job,) = jobs({"media": {"path": "shown", "path_b64": "Yf8ubXA0"}, "question": "Why?"})
    assert os.fsencode(job.media[0]) == b"a\xff.mp4"


def test_media_may_be_shown_in_part():
    (job,) = jobs({"media": ["a.mp4", {"path": "a.mp4", "start": "0:10", "frames": 4}], "question": "Why?"})
    assert job.media == ("a.mp4", MediaPath(None, "a.mp4", Excerpt(10.0, frames=4)))
    assert job.names == ("a.mp4", "a.mp4")
    request = job.request(Request(choice=FrameChoice(frames=16)))
    assert request.shown == (MediaPath(None, "a.mp4"), job.media[1])


def test_what_records_say_of_their_media_is_no_wish():
    entry = {"path": "a.mp4", "kind": "video", "sampling": {"start": 3.0}, "frames": [{"index": 0, "time": 0.0}]}
    (job,) = jobs({"media": [entry], "question": "Why?"})
    assert job.media == ("a.mp4",)


SAID = [{"role": "user", "content": [{"type": "text", "text": "What is it?"}, {"type": "video", "path": "b//c.mp4"}]}]
HISTORY = [*SAID, {"role": "assistant", "content": "A cat."}]


def test_a_job_may_be_a_conversation():
    """Paths are seen from the current folder, as all paths of a list."""
    (whole,) = jobs({"id": "x", "messages": SAID, "label": 1})
    assert (whole.question, whole.media, whole.extra) == (None, (), {"label": 1})
    assert whole.messages == (Message("user", ("What is it?", MediaPath("video", "b//c.mp4"))),)
    assert whole.names == ("b//c.mp4",)
    request = whole.request(Request("What?", system="Be kind."))
    assert (request.question, request.history, request.system) == (None, whole.messages, "Be kind.")
    (more,) = jobs({"messages": HISTORY, "media": "d.png", "question": "And this?"})
    assert more.request(Request()).names == ("b//c.mp4", "d.png")
    assert more.request(Request()).question == "And this?"


def test_the_question_for_all_follows_a_history_and_leaves_whole_conversations_alone():
    lines = "\n".join(json.dumps({"messages": messages}) for messages in (SAID, HISTORY))
    whole, history = read_jsonl(io.BytesIO(lines.encode()), "list", "What?")
    assert (whole.question, history.question) == (None, "What?")


def test_media_of_a_job_take_the_open_places_of_its_messages():
    said = [{"role": "user", "content": [{"type": "video", "end": 2}, {"type": "text", "text": "Why?"}]}]
    (job,) = jobs({"messages": said, "media": {"path": "a.mp4", "start": 1}})
    assert job.messages[0].media == (MediaPath("video", "a.mp4", Excerpt(1, 2)),)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ({"messages": [{"role": "human", "content": "hi"}]}, "messages: message 1: 'role' must be one of"),
        ({"messages": [SAID[0], {"role": "user"}]}, "messages: message 2: 'content'"),
        ({"messages": []}, "messages: is not a list of messages"),
        ({"messages": HISTORY}, "has no question"),
        ({"messages": SAID, "media": "a.mp4"}, "has more media than its messages have places for"),
        ({"messages": SAID, "media": [], "question": "Why?"}, "has no media"),
        ({"messages": [{"role": "user", "content": "hi"}]}, "messages: show no video and no image"),
        ({"messages": [{"role": "user", "content": [{"type": "video"}]}]}, "media without a path: 1, but media named"),
        ({"media": {"path": "a.mp4", "end": "late"}, "question": "Why?"}, "media: end must be seconds or h:mm:ss"),
        ({"media": "a.mp4", "question": "Why?", "start": 2, "end": 1}, "end must be after start"),
    ],
)
def test_a_conversation_that_is_not_in_order_names_the_message(line, message):
    (bad,) = jobs(line)
    assert str(bad.error).startswith("list, line 1: ")
    assert message in str(bad.error)
    assert (bad.error.code, str(bad.error).count("\n")) == ("job", 0)


def test_a_conversation_in_a_cell_of_csv():
    cell = json.dumps(SAID).replace('"', '""')
    (job,) = read_csv(io.BytesIO(f'media,messages\n,"{cell}"\n'.encode()), "list.csv")
    assert job == jobs({"messages": SAID})[0]


def test_csv_with_quotes_lists_and_empty_cells():
    text = (
        b'\xef\xbb\xbfid,media,question,frames,start,label\r\n1,"a, b.mp4","What ""is""\nthat?",8,,x\r\n\r\n'
        b'2,"[""a.mp4"", ""b.mp4""]",Why?,,0:10,\r\n3,[1] a.mp4,Why?,many,,\r\n4,a.mp4,Why?,,,,,\r\n5,a.mp4,,,,\r\n'
    )
    first, second, *bad = list(read_csv(io.BytesIO(text), "list.csv"))
    assert first == Job(("a, b.mp4",), 'What "is"\nthat?', "1", frames=8, extra={"label": "x"})
    assert second == Job(("a.mp4", "b.mp4"), "Why?", "2", start=10.0)
    assert [str(item.error).partition(": ")[0] for item in bad] == [f"list.csv, line {n}" for n in (6, 7, 8)]


def test_raw_jobs_of_csv():
    rows = b"a.mp4,Why?,\na.mp4,<video>,True\na.mp4,Why?,false\na.mp4,Why?,yes\n"
    *good, bad = read_csv(io.BytesIO(b"media,question,raw\n" + rows), "list.csv")
    assert [job.raw for job in good] == [None, True, False]
    assert "raw must be true or false" in str(bad.error)


def test_csv_cells_that_are_too_much_cost_their_row():
    rows = f"{'[' * 100_000},Why?,\na.mp4,Why?,{'9' * 5000}\na.mp4,Why?,8\n"
    first, bad, last = read_csv(io.BytesIO(b"media,question,frames\n" + rows.encode()), "list.csv")
    assert first.media == ("[" * 100_000,)
    assert str(bad.error).startswith("list.csv, line 3: frames must be")
    assert last == Job(("a.mp4",), "Why?", frames=8)


def test_a_job_is_a_request_over_the_run_s_defaults():
    defaults = Request("What?", system="Be kind.", choice=FrameChoice(frames=4, fps=2.0, start=1.0), fit=True)
    assert Job(("a.mp4",)).request(defaults) == replace(defaults, media=("a.mp4",))
    asked = Job(("a.mp4",), "Why?", system="Be brief.", start=0.0, end=3.0, frames=2).request(defaults)
    choice = FrameChoice(frames=2, fps=2.0, start=0.0, end=3.0)
    assert asked == Request("Why?", ("a.mp4",), system="Be brief.", choice=choice, fit=True)


def test_what_is_said_for_all_jobs_is_not_for_a_raw_one():
    defaults = Request(system="Be kind.", template="{{ messages }}", prompt_ids=True)
    asked = Job(("a.mp4",), "<video>", raw=True).request(defaults)
    assert asked == Request("<video>", ("a.mp4",), raw=True, prompt_ids=True)
    assert Job(("a.mp4",), "Why?").request(defaults) == replace(defaults, question="Why?", media=("a.mp4",))
    assert Job(("a.mp4",), "<video>").request(Request(raw=True)).raw
    assert not Job(("a.mp4",), "Why?", raw=False).request(Request(raw=True)).raw


def test_jobs_of_a_program():
    made = Job(("a.mp4",), "Why?")
    first, second, third, bad = items_of(
        [made, {"media": Path("a.mp4"), "question": "Why?"}, {"media": ("a.mp4", "b.png")}, {"media": 7}], "What?"
    )
    assert (first, second, third) == (made, made, Job(("a.mp4", "b.png"), "What?"))
    assert str(bad.error) == "jobs, line 4: has no media: a path, or a list of paths"


def test_csv_without_a_column_for_media_is_refused():
    with pytest.raises(InputError, match="one of them media"):
        list(read_csv(io.BytesIO(b"a.mp4,Why?\n"), "list.csv"))


def test_lines_across_chunks_and_without_an_end():
    text = b"a" * 70_000 + b"\n\n" + b"b" * 10
    assert list(lines(io.BytesIO(text))) == [b"a" * 70_000, b"", b"b" * 10]
    assert list(lines(io.BytesIO(b"a\nb\0c\0"), b"\0")) == [b"a\nb", b"c"]


def test_a_line_without_end_is_cut():
    endless, last = list(lines(io.BytesIO(b"x" * (LONGEST_LINE + 100_000) + b"\nlast")))
    assert len(endless) == LONGEST_LINE + 1
    assert last == b"last"


class Endless(io.RawIOBase):
    """A list that is made as it is read."""

    def __init__(self, count: int) -> None:
        self._lines = self._made(count)

    @staticmethod
    def _made(count: int) -> Iterator[bytes]:
        for start in range(0, count, 100):
            yield b"".join(
                b'{"id": %d, "media": "clip-%d.mp4", "question": "Why?"}\n' % (i, i) for i in range(start, start + 100)
            )

    def read1(self, size: int) -> bytes:
        return next(self._lines, b"")


def peak(count: int) -> int:
    tracemalloc.start()
    read = sum(1 for _ in read_jsonl(Endless(count), "list"))
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert read == count
    return most


def test_a_long_list_takes_no_more_memory_than_a_short_one():
    peak(1_000)
    assert peak(50_000) < peak(1_000) + 50_000


def test_a_job_says_how_its_video_is_divided_and_names_its_subtitles():
    job = job_of({"media": "a.mp4", "question": "Why?", "every": "30s", "overlap": 2, "subtitles": "a.srt"})
    assert (job.division, job.subtitles, job.extra) == (Division(30.0, 2.0), "a.srt", {})
    assert job_of({"media": "a.mp4", "question": "Why?"}).division is None
    for wrong in ({"every": "soon"}, {"subtitles": 7}, {"every": 3, "scenes": True}):
        with pytest.raises(InputError, match=next(iter(wrong))):
            job_of({"media": "a.mp4", "question": "Why?", **wrong})


def test_cells_of_csv_say_it_too():
    (job,) = read_csv(io.BytesIO(b"media,question,scenes,max_window\na.mp4,Why?,TRUE,1m\n"), "x")
    assert job.division == Division(scenes=True, max_window=60.0)


@pytest.mark.parametrize(
    ("given", "shape"),
    [
        ({"schema": "dog bool"}, read_constraint("dog bool")),
        ({"schema": {"type": "integer"}}, read_constraint({"type": "integer"})),
        ({"schema": '{"type": "integer"}'}, read_constraint({"type": "integer"})),
        ({"regex": "yes|no"}, read_constraint(regex="yes|no")),
        ({"grammar": 'start: "yes"'}, read_constraint(grammar='start: "yes"')),
        ({}, None),
    ],
)
def test_a_job_may_give_its_answer_a_shape(given, shape):
    """The same keys stand in its record."""
    (job,) = jobs({"media": "a.mp4", "question": "Why?", **given})
    assert (job.constraint, job.extra) == (shape, {})
    default = read_constraint(regex="[0-9]")
    request = job.request(Request(constraint=default))
    assert request.constraint == (shape or default)
    again = {"media": "a.mp4", "question": "Why?", **(shape.asked if shape else {})}
    assert jobs(again) == [job]
    (row,) = read_csv(io.BytesIO(b"media,question,schema\na.mp4,Why?,dog bool\n"), "list")
    assert row.constraint == read_constraint("dog bool")


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"schema": "dog boo"}, "list, line 1: the schema: key 1: dog: no such type: boo"),
        ({"schema": 3}, "schema must be a text or an object"),
        ({"regex": ["a"]}, "regex must be a text"),
        ({"regex": "a("}, "the regular expression: character 2: unclosed group"),
        ({"regex": "a", "grammar": 'start: "a"'}, "regex and grammar cannot be used together"),
        ({"schema": "secrets.json"}, "secrets.json: no schema"),
        ({"grammar": "secrets.json"}, "secrets.json: no grammar"),
    ],
)
def test_a_shape_that_is_none_is_the_line_s_error_and_names_of_files_are_not_read(given, told, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "secrets.json").write_text('{"type": "null"}')
    (bad,) = jobs({"media": "a.mp4", "question": "Why?", **given})
    assert isinstance(bad, Unusable)
    assert told in str(bad.error)


def test_a_list_that_wants_an_extra_that_is_not_there_ends(monkeypatch):
    monkeypatch.setitem(sys.modules, "llguidance", None)
    line = {"media": "a.mp4", "question": "Why?", "regex": "a"}
    for read in (lambda: jobs(line), lambda: list(items_of([line]))):
        with pytest.raises(NotInstalled, match="pip install"):
            read()
