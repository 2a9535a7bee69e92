# SPDX-License-Identifier: Apache-2.0
"""Conversation files: read in order, and refused with the message and the key that are wrong."""

from __future__ import annotations

import json
from collections import defaultdict
from pathlib import Path

import pytest
from pictures import clip, still

from llava_cli.errors import InputError
from llava_cli.models.messages import MediaPath, Message, by_name, chat_text, read_chat, with_media

# In the form of the source documents of the models.
CHAT = [
    {"role": "system", "content": [{"type": "text", "text": "Be polite."}]},
    {"role": "user", "content": [{"type": "text", "text": "What is it?"}, {"type": "image", "path": "a.png"}]},
    {"role": "assistant", "content": "A stop sign. "},
    {"role": "user", "content": [{"type": "video", "video": "/b.mp4"}, {"type": "text", "text": "Why is it funny?"}]},
]


def written(tmp_path: Path, content: object) -> Path:
    path = tmp_path / "chat.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def test_a_conversation(tmp_path):
    messages = read_chat(written(tmp_path, CHAT))
    assert [message.role for message in messages] == ["system", "user", "assistant", "user"]
    assert messages[1].parts == ("What is it?", MediaPath("image", str(tmp_path / "a.png")))
    assert messages[2].parts == ("A stop sign.",)
    assert messages[3].parts == (MediaPath("video", "/b.mp4"), "Why is it funny?")


def test_its_media_are_read_in_order(tmp_path):
    media = {str(tmp_path / "a.png"): still(8, 8), "/b.mp4": clip(2, 8, 8)}
    messages = read_chat(written(tmp_path, CHAT))
    turns = with_media(messages, media)
    assert [medium for turn in turns for medium in turn.media] == list(media.values())


def test_media_of_another_kind_than_said(tmp_path):
    with pytest.raises(InputError, match=r"a\.png: is a video, but the conversation says image"):
        with_media(read_chat(written(tmp_path, CHAT)), defaultdict(lambda: clip(2, 8, 8)))


def test_turns_are_written_as_they_were_read(tmp_path):
    """Files by where they are from the conversation's own folder, URLs as they are."""
    url = "https://example.org/a//b.mp4?c=d"
    said = [Message("user", (MediaPath("video", url), MediaPath("image", str(tmp_path / "a.png")), "Why?"))]
    written(tmp_path, chat_text(said, tmp_path))
    assert read_chat(tmp_path / "chat.json") == said
    assert "a.png" in (text := (tmp_path / "chat.json").read_text())
    assert str(tmp_path) not in text


def test_media_have_their_names_again():
    seen = clip(2, 8, 8)
    said = [Message("user", (MediaPath("video", seen.info.path), "Why?"), inline=True)]
    assert list(by_name(with_media(said, {seen.info.path: seen}))) == said


def test_standard_input_cannot_be_named_in_a_conversation(tmp_path):
    with pytest.raises(InputError, match="standard input cannot be saved"):
        chat_text([Message("user", (MediaPath("video", "-"), "Why?"))], tmp_path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "is not valid JSON"),
        ("[" * 100_000, "is not valid JSON"),
        ([], "is not a list of messages"),
        ({"role": "user"}, "is not a list of messages"),
        (["hi"], "message 1: is not an object"),
        ([{"role": "human", "content": "hi"}], "message 1: 'role'"),
        ([{"content": "hi"}], "message 1: 'role'"),
        ([{"role": ["user"], "content": "hi"}], "message 1: 'role'"),
        ([{"role": "user"}], "message 1: 'content'"),
        ([{"role": "user", "content": []}], "message 1: 'content'"),
        ([CHAT[1], {"role": "user", "content": [{"type": "audio"}]}], "message 2: part 1: 'type'"),
        ([{"role": "user", "content": [{"type": "text"}]}], "message 1: part 1: 'text'"),
        ([{"role": "user", "content": [{"type": "video"}]}], "message 1: part 1: 'path'"),
        ([{"role": "user", "content": ["hi"]}], "message 1: part 1: 'type'"),
        ([{"role": "assistant", "content": [{"type": "image", "path": "x"}]}], "message 1: only messages of the user"),
        ([CHAT[1], CHAT[0]], "message 2: 'role' is 'system'"),
    ],
)
def test_what_is_wrong_is_named(tmp_path, content, message):
    path = written(tmp_path, content)
    with pytest.raises(InputError) as raised:
        read_chat(path)
    assert str(raised.value).startswith(f"{path}: ")
    assert message in str(raised.value)


def test_a_missing_file(tmp_path):
    with pytest.raises(InputError, match=r"none\.json: cannot be read"):
        read_chat(tmp_path / "none.json")
