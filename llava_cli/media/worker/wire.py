# SPDX-License-Identifier: Apache-2.0
"""How a request and its outcome travel between a program and its decoding process: a line of JSON, then bare pixels.

No pickles: what comes from a process that has read hostile bytes is data, whatever became of that process.
"""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass
from io import BufferedIOBase
from typing import TYPE_CHECKING, Any

from llava_cli.errors import InputError, LlavaError, OutOfMemory, UsageError
from llava_cli.media.clip import Clip, Media, MediaInfo, NativeSizes, Sampling, Still, View
from llava_cli.media.limits import Limits

if TYPE_CHECKING:
    import numpy as np

READY = b"ready "
"""What the decoding process says first; then, as JSON, what the system holds it to."""

TAKEN = b"taken\n"
"""What the process that downloads says of each request: one that is about to end still looks alive."""

LONGEST = 1 << 24
"""Bytes of a line."""

ERRORS: tuple[type[LlavaError], ...] = (InputError, UsageError, OutOfMemory)


class DecoderBug(Exception):
    """The decoding process met an error that nobody foresaw; its traceback is the message."""


@dataclass(frozen=True)
class Request:
    """One file to decode: a regular one, which comes along open, or a URL, whose bytes come over a socket."""

    path: str
    name: str
    """What the user called it."""
    view: View | None
    """How it is to be shown; None looks for its scenes instead."""
    limits: Limits
    threads: int | None = None

    def dump(self) -> bytes:
        return json.dumps(asdict(self)).encode() + b"\n"

    @classmethod
    def parse(cls, line: bytes) -> Request:
        known = json.loads(line)
        view = known["view"]
        if view is not None:
            view |= {"size": tuple(view["size"]), "sampling": Sampling(**view["sampling"])}
            view["sizes"] = view["sizes"] and NativeSizes(**view["sizes"])
            view = View(**view)
        return cls(**known | {"view": view, "limits": Limits(**known["limits"])})


@dataclass(frozen=True)
class Cuts:
    """When scenes begin, but for the first."""

    times: tuple[float, ...]
    """Seconds from the start of the video, rising."""


def dump_cuts(times: tuple[float, ...]) -> bytes:
    """The line that says when scenes begin."""
    return json.dumps({"cuts": times}).encode() + b"\n"


def dump_media(media: Media) -> tuple[bytes, memoryview]:
    """The line and the pixels that say what was decoded."""
    import numpy as np

    known: dict[str, Any] = {"info": asdict(media.info)}
    if isinstance(media, Clip):
        pixels = media.frames
        known |= {"indices": media.indices, "times": media.times}
        known |= {"sampling": asdict(media.sampling), "pixels": media.pixels}
        known |= {"positions": media.positions, "fit": media.fit}
    else:
        pixels = media.pixels
    line = json.dumps(known | {"shape": pixels.shape}).encode() + b"\n"
    return line, np.ascontiguousarray(pixels).data.cast("B")


def dump_error(error: BaseException, details: str) -> bytes:
    """The line that says what went wrong."""
    kind = next((kind.__name__ for kind in ERRORS if isinstance(error, kind)), None)
    code = error.code if isinstance(error, LlavaError) else None
    return json.dumps({"error": kind, "code": code, "message": details}).encode() + b"\n"


def read_outcome(stream: BufferedIOBase) -> Media | Cuts | Exception:
    """What was decoded or found, or what the decoding process raised.

    Raises:
        EOFError: the stream ends too soon.
        ValueError, KeyError, TypeError: what it says makes no sense.
    """
    line = stream.readline(LONGEST)
    if not line:
        raise EOFError
    known = json.loads(line)
    if "cuts" in known:
        return Cuts(tuple(map(float, known["cuts"])))
    if "error" in known:
        for kind in ERRORS:
            if kind.__name__ == known["error"]:
                return kind(known["message"], code=known["code"])
        return DecoderBug(known["message"])
    pixels = _read_pixels(known["shape"], stream)
    info = MediaInfo(**known["info"] | {"warnings": tuple(known["info"]["warnings"])})
    if "indices" not in known:
        return Still(pixels, info)
    sampling = Sampling(**known["sampling"])
    indices, times = tuple(known["indices"]), tuple(known["times"])
    return Clip(pixels, indices, times, info, sampling, known["pixels"], known["positions"], known["fit"])


def _read_pixels(shape: list[int], stream: BufferedIOBase) -> np.ndarray:
    import numpy as np

    pixels = np.empty(math.prod(shape), np.uint8)
    room = pixels.data
    while room:
        count = stream.readinto(room)
        if not count:
            raise EOFError
        room = room[count:]
    return pixels.reshape(shape)
