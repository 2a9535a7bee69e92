# SPDX-License-Identifier: Apache-2.0
"""From what the user typed to a regular file that decoders may open: paths of any bytes, standard input, pipes."""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, BinaryIO

from llava_cli.errors import InputError
from llava_cli.media.limits import DEFAULT, Limits

CHUNK = 1 << 20

# Containers that hold their own pictures. The rest of FFmpeg's formats include playlists and scripts, which would let a
# text file named .mp4 have other files read, or the network.
FORMATS = (
    "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,flv,live_flv,kux,mpegts,mpeg,mpegvideo,m4v,h261,h263,h264,hevc,vvc,av1,"
    "obu,ivf,vc1,cavsvideo,dirac,mjpeg,yuv4mpegpipe,asf,ogg,rm,mxf,gxf,nut,dv,wtv,nsv,amv,bink,smk,flic"
)


class MediaError(Exception):
    """The file gives no picture, for the reason in the message. `load_media` puts the file's name before it."""


class DecoderError(MediaError):
    """This decoder gets no picture out of the file; another one may."""


@dataclass(frozen=True)
class Source:
    """A regular file and the name to call it by."""

    path: str
    """Absolute, as `os.fsdecode` gives it: a name that is not UTF-8 holds surrogates."""
    name: str
    """What the user called it."""
    limits: Limits = DEFAULT
    """What decoding it may cost."""

    @property
    def input(self) -> str | BinaryIO:
        """What FFmpeg opens: a name that is a file's whatever it looks like, such as "http:x.webm"."""
        return "file:" + self.path

    def open(self) -> BinaryIO:
        return Path(self.path).open("rb")

    @property
    def on_disk(self) -> bool:
        """Whether a decoder can open it by its path."""
        return True

    @property
    def path_bytes(self) -> bytes:
        """The name as the file system has it. OpenCV crashes on a str with surrogates."""
        return os.fsencode(self.path)


def check_pixels(width: int, height: int, limits: Limits) -> None:
    """Raise MediaError where a picture of this size must not be decoded."""
    if width * height > limits.max_pixels:
        raise MediaError(
            f"claims {width}x{height} pixels, more than the {limits.max_pixels} allowed; --max-pixels allows more"
        )


def check_walk(frames: int, limits: Limits) -> None:
    """Raise MediaError where so many frames must not be decoded one by one."""
    if frames > limits.max_walk:
        raise MediaError(
            f"has more than {limits.max_walk} frames that would have to be decoded one by one; --max-walk allows more"
        )


@contextmanager
def open_source(path: str | os.PathLike[str] | bytes, limits: Limits = DEFAULT) -> Iterator[Source]:
    """Yield `path` as a regular file; "-" and pipes are copied to a temporary file, which is removed afterwards.

    Raises InputError where there is nothing to read, or where a pipe carries more than `limits.max_bytes`.
    """
    name = os.fsdecode(path)
    if is_url(name):
        from llava_cli.media.web.ranges import open_url

        with open_url(name, limits) as remote:
            yield remote
        return
    if name == "-":
        _check_pipes(name, limits)
        with _spooled(_standard_input(), name, "standard input", limits) as source:
            yield source
        return
    if not name:
        raise InputError("the name of a file is empty")
    try:
        mode = Path(name).stat().st_mode
        if stat.S_ISFIFO(mode):
            _check_pipes(name, limits)
            pipe = Path(name).open("rb")  # noqa: SIM115 - closed below; opening may fail, reading may not
        else:
            _check_regular(name, mode)
    except FileNotFoundError as error:
        hint = "; of URLs, http and https are read" if "://" in name else ""
        raise InputError(f"{name}: no such file{hint}") from error
    except PermissionError as error:
        raise InputError(f"{name}: may not be read; check its permissions") from error
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        raise InputError(f"{name}: cannot be opened ({reason(error)})") from error
    if stat.S_ISFIFO(mode):
        with pipe, _spooled(pipe, name, "the pipe", limits) as source:
            yield source
    else:
        yield Source(str(Path(name).absolute()), name, limits)


def is_url(path: str | os.PathLike[str] | bytes) -> bool:
    """Whether `path` names something on the web. The slashes decide: "http:x.webm" is a file; so is "./https://x"."""
    return os.fsdecode(path).lower().startswith(("http://", "https://"))


def _check_pipes(name: str, limits: Limits) -> None:
    if not limits.pipes:
        raise InputError(f"{name}: is a pipe, which can be read once only; lists take files, llava ask takes pipes")


def _check_regular(name: str, mode: int) -> None:
    if stat.S_ISDIR(mode):
        raise InputError(f"{name}: is a folder; name the files in it")
    if not stat.S_ISREG(mode):
        raise InputError(f"{name}: is not a regular file")
    with Path(name).open("rb") as file:  # says now, in one place, that it may not be read
        if not file.read(1):
            raise InputError(f"{name}: is empty")


def _standard_input() -> BinaryIO:
    if sys.stdin is None:
        raise InputError("standard input is closed; name a file, or pipe one in")
    if sys.stdin.isatty():
        raise InputError("standard input is a terminal; pipe a file into it, or name one")
    return sys.stdin.buffer


@contextmanager
def _spooled(stream: BinaryIO, name: str, what: str, limits: Limits) -> Iterator[Source]:
    import tempfile  # slow to import, and seldom needed

    with tempfile.NamedTemporaryFile(prefix="llava-") as copy:
        try:
            _copy(stream, copy, what, limits.max_bytes)
        except OSError as error:
            raise InputError(f"{what} cannot be copied to {copy.name}: {reason(error)}") from error
        yield Source(copy.name, name, limits)


def _copy(stream: BinaryIO, copy: IO[bytes], what: str, max_bytes: int) -> None:
    """Copy all of `stream`. FFmpeg needs to seek: the index of an mp4 file often comes last."""
    size = 0
    while chunk := stream.read(CHUNK):
        size += len(chunk)
        if size > max_bytes:
            raise InputError(f"{what} gives more than {max_bytes} bytes; --max-bytes allows more, and so does a file")
        copy.write(chunk)
    if not size:
        raise InputError(f"{what} is empty; pipe a video or an image into it")
    copy.flush()


def reason(error: Exception) -> str:
    """Return what an error of the system, of FFmpeg or of a certificate says, without numbers and names."""
    return getattr(error, "verify_message", None) or getattr(error, "strerror", None) or str(error)
