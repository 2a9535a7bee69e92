# SPDX-License-Identifier: Apache-2.0
"""A conversation as a server takes it: messages in OpenAI's form, with pictures inside."""

from __future__ import annotations

import asyncio
import base64
import mimetypes
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

from llava_cli.engine.remote.background import shared
from llava_cli.engine.remote.endpoint import Endpoint, Send
from llava_cli.errors import InputError, UsageError
from llava_cli.media.clip import Clip, Media
from llava_cli.media.encoded import encoded
from llava_cli.media.sampling import clock
from llava_cli.media.source import is_url
from llava_cli.models.messages import Conversation, Turn

_LARGEST_FILE = 256 << 20

Message = dict[str, Any]
Part = dict[str, Any]


@dataclass(frozen=True)
class Sending:
    """What goes to a server for a question."""

    messages: list[Message]
    text_only: list[Message]
    """The same without any pictures."""
    pictures: int
    """How many there are: a file is one."""


class Sender:
    """Turns conversations into messages; a medium is encoded once, however often it is shown."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint
        self._pieces: WeakKeyDictionary[Media, asyncio.Task[list[str]]] = WeakKeyDictionary()

    async def prepare(self, conversation: Conversation, way: Send) -> Sending:
        """Messages for a conversation; its videos go as `way` says, its stills as images.

        Raises:
            InputError: a file cannot be sent.
            UsageError: a part of a video cannot be sent as a file.
        """
        parts: dict[int, list[Part]] = {}
        pictures = 0
        for medium in conversation.media:
            if way == "file" and isinstance(medium, Clip):
                pieces = [await asyncio.to_thread(_file, medium)]
            else:
                pieces = await shared(self._pieces, medium, partial(self._encode, medium))
            pictures += len(pieces)
            parts[id(medium)] = _parts(medium, pieces, way, self._endpoint)
        bare = {key: [part for part in some if part["type"] == "text"] for key, some in parts.items()}
        return Sending(_messages(conversation.turns, parts), _messages(conversation.turns, bare), pictures)

    async def _encode(self, medium: Media) -> list[str]:
        """Each picture of a medium in base64."""
        pixels = medium.frames if isinstance(medium, Clip) else [medium.pixels]
        return await asyncio.gather(*(asyncio.to_thread(encoded, one, self._endpoint.jpeg) for one in pixels))


def metadata(conversation: Conversation) -> dict[str, Any]:
    """A field that keeps a server from choosing among the frames of a video again, as vLLM knows it.

    It holds for all videos of a request: of several, only that all frames count can be said.
    """
    clips = {id(medium): medium for medium in conversation.media if isinstance(medium, Clip)}
    said: dict[str, Any] = {"num_frames": -1}
    if len(clips) == 1:
        said |= _receipt(*clips.values())
    return {"media_io_kwargs": {"video": said}} if clips else {}


def _receipt(clip: Clip) -> dict[str, Any]:
    indices, times = clip.indices, clip.times
    lasted = times[-1] - times[0]
    rate = (indices[-1] - indices[0]) / lasted if lasted > 0 and indices[-1] > indices[0] else 1.0
    duration = clip.info.duration or 0.0
    total = max(len(indices), indices[-1] + 1, round(duration * rate))
    return {"fps": rate, "frames_indices": list(indices), "total_num_frames": total, "duration": duration}


def _parts(medium: Media, pieces: Sequence[str], way: Send, endpoint: Endpoint) -> list[Part]:
    kind = "png" if endpoint.jpeg is None else "jpeg"
    images = [_url("image", f"data:image/{kind};base64,{piece}") for piece in pieces]
    if not isinstance(medium, Clip):
        return images
    if way == "file":
        return [_url("video", pieces[0])]
    if way == "images":
        if not endpoint.times:
            return images
        said = [_text(f"Frame at {clock(time)}:") for time in medium.times]
        return [part for pair in zip(said, images, strict=True) for part in pair]
    # Servers look at each piece for what it is: those of a video called JPEG may be PNG.
    video = _url("video", f"data:video/jpeg;base64,{','.join(pieces)}")
    times = [_text(f"The frames of the video are at {', '.join(map(clock, medium.times))}.")]
    return [*(times if endpoint.times else ()), video]


def _url(kind: str, url: str) -> Part:
    return {"type": f"{kind}_url", f"{kind}_url": {"url": url}}


def _text(text: str) -> Part:
    return {"type": "text", "text": text}


def _messages(turns: Sequence[Turn], parts: Mapping[int, list[Part]]) -> list[Message]:
    """Turns as messages; what is one text, or nothing, is a plain text: some servers take no list from others than
    the user."""
    said = []
    for turn in turns:
        found = [part for one in turn.parts for part in ([_text(one)] if isinstance(one, str) else parts[id(one)])]
        texts = [part["text"] for part in found if part["type"] == "text"]
        plain = len(texts) == len(found) and (len(texts) < 2 or turn.role != "user")
        said.append({"role": turn.role, "content": "\n".join(texts) if plain else found})
    return said


def _file(clip: Clip) -> str:
    """A video's file as a URL that holds it."""
    name, sampling = clip.info.path, clip.sampling
    if sampling.start is not None or sampling.end is not None:
        raise UsageError("--send file sends all of a video: it cannot be used with --start or --end")
    if name == "-" or is_url(name):
        raise InputError(f"{name}: --send file sends files of this machine only; --send frames sends what is read here")
    path = Path(name)
    try:
        size = path.stat().st_size
        if size > _LARGEST_FILE:
            raise InputError(f"{name}: more than {_LARGEST_FILE >> 20} MiB cannot be sent as a file; try --send frames")
        data = path.read_bytes()
    except OSError as error:
        raise InputError(f"{name}: cannot be read: {error.strerror}") from error
    kind = mimetypes.guess_type(name)[0] or "video/mp4"
    return f"data:{kind};base64,{base64.b64encode(data).decode('ascii')}"
