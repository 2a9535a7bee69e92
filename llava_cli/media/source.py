# SPDX-License-Identifier: Apache-2.0
"""What decoders open: a regular file, the name to call it by, and what decoding it may cost."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial

from llava_cli.media.errors import MediaError, reason
from llava_cli.media.limits import DEFAULT, Limits
from llava_cli.media.stream import BUFFER, FileBytes, Stream
from llava_cli.words import counted

# Containers that hold their own pictures. The rest of FFmpeg's formats include playlists and scripts, which would let a
# text file named .mp4 have other files read, or the network.
FORMATS = (
    "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,flv,live_flv,kux,mpegts,mpeg,mpegvideo,m4v,h261,h263,h264,hevc,vvc,av1,"
    "obu,ivf,vc1,cavsvideo,dirac,mjpeg,yuv4mpegpipe,asf,ogg,rm,mxf,gxf,nut,dv,wtv,nsv,amv,bink,smk,flic"
)


@dataclass(frozen=True)
class Source:
    """A regular file and the name to call it by. It can be decoded any number of times."""

    path: str
    """Absolute, as `os.fsdecode` gives it: a name that is not UTF-8 holds surrogates."""
    name: str
    """What the user called it."""
    limits: Limits = DEFAULT
    """What decoding it may cost."""

    @contextmanager
    def descriptor(self) -> Iterator[int]:
        """The whole file, open, for a decoder that cannot be told that reading failed.

        Raises:
            MediaError: it cannot be had.
        """
        opened = self._open()
        try:
            yield opened
        finally:
            os.close(opened)

    def stream(self) -> Stream:
        """The file from its start, for FFmpeg, which does its own buffering.

        Raises:
            MediaError: it cannot be opened.
        """
        opened = self._open()
        return Stream(FileBytes(opened), partial(os.close, opened))

    def open(self) -> io.BufferedReader:
        """The file from its start."""
        return io.BufferedReader(self.stream(), BUFFER)

    def _open(self) -> int:
        try:
            return os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError as error:
            raise MediaError(f"cannot be opened ({reason(error)})") from error


@dataclass(frozen=True)
class HeldSource(Source):
    """A file that somebody holds open; its path is not used."""

    held: int = field(kw_only=True)

    def _open(self) -> int:
        return os.dup(self.held)


Name = str | os.PathLike[str] | bytes
"""A file as the user names it: a path of any bytes, a URL, or "-" for standard input."""

HUB = "hf://"
"""What names of files on the hub begin with."""


def is_url(name: Name) -> bool:
    """Whether `name` is no path: one on the web or on the hub. The slashes decide: "http:x.webm" is a file; so is
    "./https://x"."""
    return os.fsdecode(name).lower().startswith(("http://", "https://", HUB))


def check_pixels(width: int, height: int, limits: Limits) -> None:
    """Refuse a picture of this size, in pixels.

    Raises:
        MediaError: it must not be decoded.
    """
    if width * height > limits.max_pixels:
        raise MediaError(
            f"claims {width}x{height} pixels, more than the {limits.max_pixels} allowed; --max-pixels allows more"
        )


def check_walk(frames: int, limits: Limits) -> None:
    """Refuse to decode so many frames one by one.

    Raises:
        MediaError: they are too many.
    """
    if frames > limits.max_walk:
        raise MediaError(
            f"has more than {counted(limits.max_walk, 'frame')} that would have to be decoded one by one; --max-walk "
            "allows more"
        )
