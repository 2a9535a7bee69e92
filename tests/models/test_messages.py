# SPDX-License-Identifier: Apache-2.0
"""Conversation files: read in order, and refused with the message and the key that are wrong."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from pictures import clip, still

from llava_cli.errors import InputError, UsageError
from llava_cli.media.named import Excerpt
from llava_cli.models.messages import MediaPath, Message, by_name, chat_text, read_chat, with_media, with_paths

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
    assert messages[2].parts == ("A stop sign. ",)  # as a chat template would be given it
    assert messages[3].parts == (MediaPath("video", "/b.mp4"), "Why is it funny?")


def test_its_media_are_read_in_order(tmp_path):
    media = [still(8, 8), clip(2, 8, 8)]
    messages = read_chat(written(tmp_path, CHAT))
    turns = with_media(messages, media)
    assert [medium for turn in turns for medium in turn.media] == media


def test_media_of_another_kind_than_said(tmp_path):
    with pytest.raises(InputError, match=r"a\.png: is a video, but the conversation says image"):
        with_media(read_chat(written(tmp_path, CHAT)), [clip(2, 8, 8)] * 2)
    with pytest.raises(InputError, match=r"b\.mp4: is an image, but the conversation says video"):
        with_media(read_chat(written(tmp_path, CHAT)), [still(8, 8)] * 2)


def test_turns_are_written_as_they_were_read(tmp_path):
    """Files by where they are from the conversation's own folder, URLs as they are."""
    url = "https://example.org/a//b.mp4?c=d"
    said = [Message("user", (MediaPath("video", url), MediaPath("image", str(tmp_path / "a.png")), "Why?"))]
    written(tmp_path, chat_text(said, tmp_path))
    assert read_chat(tmp_path / "chat.json") == said
    assert "a.png" in (text := (tmp_path / "chat.json").read_text())
    assert str(tmp_path) not in text


def test_media_have_their_names_again():
    seen, other = clip(2, 8, 8), still(8, 8)
    said = [Message("user", (MediaPath("video", "a.mp4", Excerpt(1.0, 2.0)), "Why?"), inline=True)]
    turns = with_media([*said, Message("user", (MediaPath(None, "b.png"),))], [seen, other])
    names = {id(other): MediaPath(None, "b.png"), id(seen): said[0].media[0]}
    assert list(by_name(turns, names)) == [*said, Message("user", (MediaPath("image", "b.png"),))]


@pytest.mark.parametrize(
    ("part", "name"),
    [
        ({"type": "video", "path": "b.mp4"}, "{folder}/b.mp4"),
        ({"type": "video", "video": "/b.mp4"}, "/b.mp4"),
        ({"type": "video", "url": "https://example.org/a//b.mp4"}, "https://example.org/a//b.mp4"),
        ({"type": "image", "url": "HTTP://example.org/b.png"}, "HTTP://example.org/b.png"),
        ({"type": "image", "image": "b.png"}, "{folder}/b.png"),
        ({"type": "image_url", "image_url": {"url": "https://example.org/b.png"}}, "https://example.org/b.png"),
        ({"type": "video_url", "video_url": {"url": "b.mp4"}}, "{folder}/b.mp4"),
        ({"type": "video", "path": "file:///b.mp4"}, "file:///b.mp4"),
        ({"type": "video", "path": "shown", "path_b64": "Yf8ubXA0"}, "{folder}/a\udcff.mp4"),
        ({"type": "video"}, ""),
    ],
)
def test_media_are_named_as_the_documents_name_them(tmp_path, part, name):
    (message,) = read_chat(written(tmp_path, [{"role": "user", "content": [part]}]))
    modality = part["type"].removesuffix("_url")
    assert message.parts == (MediaPath(modality, name.replace("{folder}", str(tmp_path))),)


def test_each_medium_may_be_shown_in_part(tmp_path):
    said = {"type": "video", "path": "/a.mp4", "start": "1:30", "end": 120, "frames": 4, "sampling": "linspace"}
    rate = {"type": "video", "path": "/a.mp4", "fps": 0.5}
    path = written(tmp_path, [{"role": "user", "content": [said, rate, {"type": "image", "path": "/a.png"}]}])
    first, second, third = read_chat(path)[0].media
    assert first == MediaPath("video", "/a.mp4", Excerpt(90.0, 120, 4, None, "linspace"))
    assert second.excerpt == Excerpt(fps=0.5)
    assert third.excerpt == Excerpt()
    path.write_text(chat_text([Message("user", (first, second, third), inline=True)], tmp_path))
    assert read_chat(path) == [Message("user", (first, second, third), inline=True)]


def test_media_without_a_path_are_those_that_are_named_elsewhere(tmp_path):
    content = [{"type": "video", "start": 2}, {"type": "image", "path": "/a.png"}, {"type": "image"}]
    messages = read_chat(written(tmp_path, [{"role": "user", "content": content}]))
    given = (MediaPath(None, "b.mp4", Excerpt(1.0, 9.0)), "c.png", "d.png")
    (message,), rest = with_paths(messages, given)
    assert message.media == (
        MediaPath("video", "b.mp4", Excerpt(2, 9.0)), MediaPath("image", "/a.png"), MediaPath("image", "c.png"),
    )  # fmt: skip
    assert rest == ("d.png",)
    with pytest.raises(UsageError, match="media without a path: 2, but media named for them: 1"):
        with_paths(messages, ["b.mp4"])


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
        ([{"role": "user", "content": [{"type": "video", "path": ""}]}], "message 1: part 1: 'path'"),
        ([{"role": "user", "content": [{"type": "video", "video": ["a", "b"]}]}], "message 1: part 1: 'path'"),
        ([{"role": "user", "content": [{"type": "image_url", "image_url": {}}]}], "message 1: part 1: 'path'"),
        (
            [{"role": "user", "content": [{"type": "image", "url": "data:image/png;base64,"}]}],
            "data: URLs are not read",
        ),
        ([{"role": "user", "content": [{"type": "video", "start": "soon"}]}], "message 1: part 1: start must be"),
        (
            [{"role": "user", "content": [{"type": "video", "path": "a", "frames": 0}]}],
            "message 1: part 1: frames must",
        ),
        ([{"role": "user", "content": "hi", "inline": 1}], "message 1: 'inline' must be true or false"),
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
