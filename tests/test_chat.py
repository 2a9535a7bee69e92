# SPDX-License-Identifier: Apache-2.0
"""A conversation that goes on, without a terminal."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
import tiny

from llava_cli.chat import Chat
from llava_cli.engine.types import Generation, LoadOptions
from llava_cli.errors import InputError, OutOfMemory, UsageError
from llava_cli.media.named import Excerpt
from llava_cli.models.messages import MediaPath, Message
from llava_cli.request import FrameChoice, Request
from llava_cli.session import Session


@pytest.fixture(scope="module")
def session(checkpoints):
    with Session(str(checkpoints("llava-next-video")), load=LoadOptions("cpu")) as session:
        yield session


@pytest.fixture
def chat(session, rendered):
    request = Request(media=(str(rendered("h264")),), choice=FrameChoice(8), generation=Generation(6))
    with Chat(session, request) as chat:
        yield chat


def test_media_taken_back_are_shown_with_the_next_question(chat, rendered):
    path = str(rendered("h264"))
    first = chat.ask("Why?")
    assert chat.waiting == []
    chat.undo()
    assert chat.waiting == [path]
    again = chat.ask("Why?")
    assert (again.text, again.visual_tokens) == (first.text, first.visual_tokens)
    chat.undo()
    with pytest.raises(UsageError, match="nothing to undo"):
        chat.undo()


def test_what_waits_for_the_next_question_can_be_dropped(chat, rendered):
    path = str(rendered("h264"))
    chat.add(str(rendered("vp9")), path)
    assert chat.drop() == path
    assert chat.waiting == [path, str(rendered("vp9"))]
    with pytest.raises(UsageError, match=r"other\.mp4: does not wait"):
        chat.drop("other.mp4")
    assert chat.drop(path) == path
    answer = chat.ask("Why?")
    assert [medium.info.path for medium in answer.media] == [str(rendered("vp9"))]
    with pytest.raises(UsageError, match="no file waits"):
        chat.drop()


def test_a_system_prompt_that_is_no_text_is_refused_and_the_old_one_stays(chat):
    chat.system = "Be brief."
    with pytest.raises(UsageError, match="the system prompt is not valid Unicode text"):
        chat.system = "\ud83d"
    assert chat.system == "Be brief."
    assert chat.ask("Why?").record()["system"] == "Be brief."


def test_a_failure_knows_what_was_asked_and_who_was_to_answer(chat):
    with pytest.raises(UsageError) as raised:
        chat.ask("Why? " * 5000)
    record = chat.failure(raised.value)
    assert record["error"]["code"] == "context"
    assert record["question"].startswith("Why? Why?")
    assert record["model"]["family"] == "llava-next-video"
    assert len(record["media"][0]["frames"]) == 8


def test_what_cannot_be_read_is_not_added(chat):
    with pytest.raises(InputError, match="no such file"):
        chat.add("none.mp4")
    assert len(chat.waiting) == 1
    assert chat.ask("Why?").text


def test_media_are_decoded_once_and_a_second_look_is_cached(chat):
    first, second = chat.ask("Why?"), chat.ask("How?")
    assert second.media[0] is first.media[0]
    assert second.completion.cached_tokens > first.visual_tokens
    assert first.record()["timing"]["decode_s"] > 0
    assert second.record()["timing"]["decode_s"] == 0


def test_media_keep_their_ranges_and_their_places_in_what_was_said(session, rendered):
    part = MediaPath(None, str(rendered("h264")), Excerpt(start=1.0, frames=3))
    with Chat(session, Request(media=(part,), generation=Generation(4))) as chat:
        chat.ask("Is <video> long?")
        shown = replace(part, modality="video")
        assert chat.history[0] == Message("user", ("Is ", shown, " long?"), inline=True)
        assert chat.ask("Why?").media[0].times[0] == 1.0
        chat.undo()
        chat.undo()
        assert chat.waiting == [shown]


def test_a_conversation_file_keeps_urls_and_names_files_from_where_it_is(chat, tmp_path, rendered):
    chat.ask("Why?")
    chat.history[0] = chat.history[0].__class__("user", (*chat.history[0].parts, _url()))
    path = tmp_path / "talk.json"
    chat.save(path)
    parts = json.loads(path.read_text())[0]["content"]
    assert parts[0]["path"] == str(rendered("h264"))
    assert parts[-1]["path"] == "https://example.org/a//b.mp4"


def _url():
    from llava_cli.models.messages import MediaPath

    return MediaPath("video", "https://example.org/a//b.mp4")


def test_a_chat_checks_memory_before_it_loads(checkpoints, rendered, monkeypatch):
    folder = checkpoints("llava-next-video")
    monkeypatch.setattr("llava_cli.engine.planning.free_memory", lambda device: 1 << 20)
    request = Request(media=(str(rendered("h264")),))
    with Session(str(folder), load=LoadOptions("cpu")) as session, Chat(session, request) as chat:
        monkeypatch.setattr(type(session.loader), "load", None)
        with pytest.raises(OutOfMemory, match=r"of 0\.0 GiB free"):
            chat.prepare()


def test_a_chat_that_becomes_too_long_shows_fewer_frames_where_it_may(tmp_path, rendered):
    folder = tiny.make("llava-next-video", tmp_path)
    asked = Request(media=(str(rendered("h264")),), choice=FrameChoice(14), generation=Generation(4))
    with Session(str(folder), load=LoadOptions("cpu")) as session, Chat(session, asked) as chat:
        chat.ask("Why?")
        longest = chat.ask("How many shapes are there?").prompt_tokens + 4
    config = json.loads((folder / "config.json").read_text())
    config["text_config"]["max_position_embeddings"] = longest - 1
    (folder / "config.json").write_text(json.dumps(config))
    with Session(str(folder), load=LoadOptions("cpu")) as session:
        with Chat(session, asked) as chat:
            chat.ask("Why?")
            with pytest.raises(UsageError, match="would fit"):
                chat.ask("How many shapes are there?")
        with Chat(session, replace(asked, fit=True)) as chat:
            chat.ask("Why?")
            answer = chat.ask("How many shapes are there?")
    assert len(answer.media[0].frames) == 13
    note = "at most 13 frames of each video are shown, to fit the checkpoint's context"
    assert answer.warnings == (note, answer.cut)


def test_choices_are_for_the_next_answers_until_they_are_taken_away(chat):
    with pytest.raises(UsageError, match="at least two"):
        chat.choices = ["yes"]
    assert chat.choices is None
    chat.choices = ["a baby", "no"]
    first, second = chat.ask("Why?"), chat.ask("Really?")
    assert {first.text, second.text} <= {"a baby", "no"}
    assert chat.history[1] == Message("assistant", (first.text,))
    assert second.completion.cached_tokens > first.visual_tokens
    chat.choices = None
    assert chat.ask("And then?").choices == ()
