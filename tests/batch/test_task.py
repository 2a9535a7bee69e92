# SPDX-License-Identifier: Apache-2.0
"""A job's record: what it carries, and what it says of media and settings."""

from __future__ import annotations

from dataclasses import replace

from batch.stub import run

from llava_cli.batch.jobs import Job, Unusable
from llava_cli.errors import InputError
from llava_cli.media.named import Excerpt
from llava_cli.models.messages import MediaPath, Message


def test_keys_of_the_list_that_records_use_are_kept_apart():
    (record,) = run([Job(("a.mp4",), "Why?", id=7, extra={"label": "x", "answer": "42", "status": "new"})]).records
    assert (record["id"], record["label"], record["status"]) == (7, "x", "ok")
    assert record["job"] == {"answer": "42", "status": "new"}


def test_the_description_that_is_asked_for_depends_on_the_kind():
    assert run([Job(("a.mp4",))]).records[0]["question"] == "Describe this video in detail."


def test_a_record_tells_the_job_s_own_settings():
    (record,) = run([Job(("a.mp4",), "Why?", system="Be brief.", start=1.0, end=3.0, frames=2)]).records
    assert record["system"] == "Be brief."
    sampling = record["media"][0]["sampling"]
    assert (sampling["start"], sampling["end"], sampling["frames"]) == (1.0, 3.0, 2)
    assert record["batch_size"] == 1


def test_a_failure_keeps_what_is_known():
    (record,) = run([Job(("a.mp4",), "Why?", id=7, frames=80)]).records
    assert (record["id"], record["question"], record["error"]["code"]) == (7, "Why?", "context")
    assert len(record["media"][0]["frames"]) == 80
    assert record["model"]["checkpoint"] == "stub"
    assert record["generation"]["max_new_tokens"] == 256


SAID = (
    Message("user", (MediaPath("video", "a.mp4", Excerpt(end=2.0)), "Who?")),
    Message("assistant", ("I.",)),
    Message("user", (MediaPath("video", "a.mp4", Excerpt(frames=2)), "Why?")),
)
WRITTEN = [
    {"role": "user", "content": [{"type": "video", "path": "a.mp4", "end": 2.0}, {"type": "text", "text": "Who?"}]},
    {"role": "assistant", "content": [{"type": "text", "text": "I."}]},
    {"role": "user", "content": [{"type": "video", "path": "a.mp4", "frames": 2}, {"type": "text", "text": "Why?"}]},
]


def test_the_record_of_a_conversation_holds_it_and_how_each_medium_was_shown():
    (record,) = run([Job((), messages=SAID)]).records
    assert (record["question"], record["messages"]) == ("Why?", WRITTEN)
    assert [len(medium["frames"]) for medium in record["media"]] == [4, 2]
    assert [medium["sampling"]["end"] for medium in record["media"]] == [2.0, None]
    assert run([Job(("a.mp4",), "Why?")]).records[0]["messages"] == []


def test_the_record_of_a_conversation_that_fails_holds_what_was_asked():
    bad = replace(SAID[0], parts=(MediaPath("video", "bad.mp4", Excerpt(end=2.0)), "Who?"))
    (record,) = run([Job((), messages=(bad,))]).records
    assert record["messages"][0]["content"][0] == {"type": "video", "path": "bad.mp4", "end": 2.0}
    assert record["media"] == [{"path": "bad.mp4", "end": 2.0}]
    (wrong,) = run([Job((), messages=(Message("user", (MediaPath("image", "a.mp4"), "Who?")),))]).records
    assert wrong["error"]["message"] == "a.mp4: is a video, but the conversation says image"
    assert wrong["media"][0]["kind"] == "video"


def test_a_copy_of_a_conversation_s_files_is_the_same_work_under_its_own_names(contents):
    contents |= {"a.mp4": "same", "b.mp4": "same"}
    others = tuple(message.changed(lambda medium: replace(medium, path="b.mp4")) for message in SAID)
    first, second = run([Job((), messages=SAID, id=1), Job((), messages=others, id=2)]).records
    assert second["same_as"] == 1
    assert second["messages"][0]["content"][0]["path"] == second["media"][0]["path"] == "b.mp4"
    assert second["answer"] == first["answer"]


def test_a_line_that_is_no_job_has_a_record_without_media():
    (record,) = run([Unusable(7, "{", InputError("list, line 7: is not valid JSON", code="job"))]).records
    assert (record["status"], record["media"], record["question"]) == ("error", [], "")
    assert record["error"] == {"code": "job", "message": "list, line 7: is not valid JSON"}


def test_warnings_stand_in_the_record_and_are_said_once_each(caplog):
    done = run([Job(("odd.mp4",), question) for question in ("Who?", "Why?")])
    assert [record["media"][0]["warnings"] for record in done.records] == [["is odd"]] * 2
    assert caplog.messages.count("odd.mp4: is odd") == 1
