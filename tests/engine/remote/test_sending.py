# SPDX-License-Identifier: Apache-2.0
"""Conversations as messages: every picture, in order, to the byte."""

from __future__ import annotations

import asyncio
import base64
import gc
import io
from dataclasses import replace

import numpy as np
import pytest
from pictures import clip, still
from PIL import Image

from llava_cli.engine.remote import sending as module
from llava_cli.engine.remote.endpoint import Endpoint
from llava_cli.engine.remote.sending import Sender, Sending, metadata
from llava_cli.errors import InputError, UsageError
from llava_cli.media.clip import Clip, Sampling
from llava_cli.models.messages import Conversation, Turn, ask

CLIP, STILL = clip(3, 8, 6), still(9, 7)


def sent(conversation: Conversation, way: str, **settings: object) -> Sending:
    return asyncio.run(Sender(Endpoint("http://h/v1", **settings)).prepare(conversation, way))


def pixels(data: str) -> np.ndarray:
    picture = Image.open(io.BytesIO(base64.b64decode(data, validate=True)))
    return np.asarray(picture)


def test_frames_go_as_one_video_of_lossless_pieces() -> None:
    found = sent(ask("Why?", [CLIP]), "frames")
    (message,) = found.messages
    video, text = message["content"]
    kind, _, pieces = video["video_url"]["url"].partition(",")
    assert (message["role"], kind, text) == ("user", "data:video/jpeg;base64", {"type": "text", "text": "Why?"})
    np.testing.assert_array_equal([pixels(piece) for piece in pieces.split(",")], CLIP.frames)
    assert found.text_only == [{"role": "user", "content": "Why?"}]
    assert found.pictures == 3


def test_images_go_in_order_and_stills_always_do() -> None:
    found = sent(ask("Why?", [CLIP, STILL]), "images")
    *images, _ = found.messages[0]["content"]
    for image, expected in zip(images, [*CLIP.frames, STILL.pixels], strict=True):
        kind, _, data = image["image_url"]["url"].partition(",")
        assert kind == "data:image/png;base64"
        np.testing.assert_array_equal(pixels(data), expected)
    assert found.pictures == 4
    for way in ("frames", "file"):
        assert sent(ask("Why?", [STILL]), way).messages[0]["content"][0] == images[-1]


def test_jpeg_is_said_to_be_one() -> None:
    image, _ = sent(ask("Why?", [STILL]), "images", jpeg=95).messages[0]["content"]
    kind, _, data = image["image_url"]["url"].partition(",")
    assert kind == "data:image/jpeg;base64"
    assert Image.open(io.BytesIO(base64.b64decode(data))).format == "JPEG"


def test_times_stand_before_the_images_or_the_video() -> None:
    shown = replace(CLIP, times=(0.0, 1.25, 61.0))
    found = sent(ask("Why?", [shown]), "images", times=True)
    texts = [part["text"] for part in found.messages[0]["content"][::2]]
    assert texts == ["Frame at 0:00.000:", "Frame at 0:01.250:", "Frame at 1:01.000:", "Why?"]
    assert [part["text"] for part in found.text_only[0]["content"]] == texts
    first, video, _ = sent(ask("Why?", [shown]), "frames", times=True).messages[0]["content"]
    assert first["text"] == "The frames of the video are at 0:00.000, 0:01.250, 1:01.000."
    assert video["type"] == "video_url"
    assert [part["type"] for part in sent(ask("Why?", [shown]), "images").messages[0]["content"]] == [
        *["image_url"] * 3, "text",
    ]  # fmt: skip


def test_a_conversation_keeps_its_roles_and_places() -> None:
    turns = (
        Turn("system", ("Be brief.",)),
        Turn("user", ("Is", STILL, "in", CLIP, "?"), inline=True),
        Turn("assistant", ("Yes.",)),
        Turn("user", ("Why?",)),
    )
    found = sent(Conversation(turns), "frames")
    assert [message["role"] for message in found.messages] == ["system", "user", "assistant", "user"]
    assert [found.messages[i]["content"] for i in (0, 2, 3)] == ["Be brief.", "Yes.", "Why?"]
    types = [part["type"] for part in found.messages[1]["content"]]
    assert types == ["text", "image_url", "text", "video_url", "text"]
    assert [part["text"] for part in found.text_only[1]["content"]] == ["Is", "in", "?"]


def test_a_file_goes_as_it_is(tmp_path) -> None:
    path = tmp_path / "clip.webm"
    path.write_bytes(b"some video")
    shown = replace(CLIP, info=replace(CLIP.info, path=str(path)))
    found = sent(ask("Why?", [shown]), "file")
    url = found.messages[0]["content"][0]["video_url"]["url"]
    assert url == f"data:video/webm;base64,{base64.b64encode(b'some video').decode()}"
    assert found.pictures == 1


@pytest.mark.parametrize("name", ["-", "https://example.org/clip.mp4", "/no/such/clip.mp4"])
def test_what_is_no_file_of_this_machine_cannot_go_as_one(name: str) -> None:
    with pytest.raises(InputError, match=f"^{name}: "):
        sent(ask("Why?", [replace(CLIP, info=replace(CLIP.info, path=name))]), "file")


def test_a_part_of_a_file_or_a_file_too_large_cannot_either(tmp_path, monkeypatch) -> None:
    path = tmp_path / "clip.mp4"
    path.write_bytes(b"some video")
    shown = replace(CLIP, info=replace(CLIP.info, path=str(path)))
    with pytest.raises(UsageError, match="--start or --end"):
        sent(ask("Why?", [replace(shown, sampling=Sampling(start=1.0))]), "file")
    monkeypatch.setattr(module, "_LARGEST_FILE", 5)
    with pytest.raises(InputError, match="cannot be sent as a file"):
        sent(ask("Why?", [shown]), "file")


def test_a_medium_is_encoded_once_and_forgotten_with_its_pixels(monkeypatch) -> None:
    calls: list[int] = []
    monkeypatch.setattr(module, "encoded", lambda *_: calls.append(1) or "x")
    shown = clip(3, 8, 6)
    sender = Sender(Endpoint("http://h/v1"))

    async def several(medium: Clip) -> None:
        await asyncio.gather(*(sender.prepare(ask(f"{number}?", [medium]), "images") for number in range(4)))

    asyncio.run(several(shown))
    assert len(calls) == 3
    assert len(sender._pieces) == 1
    del shown
    gc.collect()
    assert len(sender._pieces) == 0


def test_metadata_is_the_receipt() -> None:
    shown = replace(CLIP, indices=(0, 25, 75), times=(0.0, 1.0, 3.0), info=replace(CLIP.info, duration=4.0))
    assert metadata(ask("Why?", [shown])) == {
        "media_io_kwargs": {
            "video": {
                "num_frames": -1, "fps": 25.0, "frames_indices": [0, 25, 75], "total_num_frames": 100, "duration": 4.0,
            }
        }
    }  # fmt: skip
    assert metadata(ask("Why?", [shown, CLIP])) == {"media_io_kwargs": {"video": {"num_frames": -1}}}
    assert metadata(ask("Why?", [STILL])) == {}


def test_metadata_of_a_single_frame_makes_sense() -> None:
    one: Clip = replace(
        CLIP, frames=CLIP.frames[:1], indices=(7,), times=(0.3,), info=replace(CLIP.info, duration=None)
    )
    said = metadata(ask("Why?", [one]))["media_io_kwargs"]["video"]
    assert (said["fps"], said["frames_indices"], said["total_num_frames"]) == (1.0, [7], 8)
