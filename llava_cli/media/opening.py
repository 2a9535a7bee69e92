# SPDX-License-Identifier: Apache-2.0
"""From what the user typed to a source that decoders may open: paths of any bytes, standard input, pipes, URLs."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import BinaryIO

from llava_cli.atomic import write_all
from llava_cli.errors import InputError
from llava_cli.media.errors import reason
from llava_cli.media.limits import DEFAULT, Limits
from llava_cli.media.source import HUB, Name, Source, is_url
from llava_cli.stdin import open_stdin
from llava_cli.texts import masked

CHUNK = 1 << 20


@contextmanager
def open_source(media: Name | Source, limits: Limits = DEFAULT) -> Iterator[Source]:
    """A file to decode, as often as is wanted while the context lasts.

    "-" and pipes are copied to a temporary file, which goes with the context. A URL is asked for when it is first
    decoded, and kept as far as it has been read; a file on the hub is downloaded first. A source that is open already
    is left as it is, and open.

    Raises:
        InputError: there is nothing to read, or it may not be read, or a pipe or the hub gives more than
            `limits.max_bytes`.
    """
    if isinstance(media, Source):
        yield media
        return
    name = masked(os.fsdecode(media))
    opening: AbstractContextManager[Source]
    if is_url(name):
        opening = _open_url(name, limits)
    elif name == "-":
        _check_pipes(name, limits)
        opening = _spooled(open_stdin(), name, "standard input", limits)
    else:
        opening = _open_path(name, limits)
    with opening as source:
        yield source


def _open_url(name: str, limits: Limits) -> AbstractContextManager[Source]:
    if limits.urls == "never":
        raise InputError(f"{name}: is a URL; --allow-urls has lists read them")
    if name.lower().startswith(HUB):
        from llava_cli.media.web.hub import open_hub_file

        return open_hub_file(name, limits)
    from llava_cli.media.web.ranges import open_url

    return open_url(name, limits)


@contextmanager
def _open_path(name: str, limits: Limits) -> Iterator[Source]:
    if not name:
        raise InputError("the name of a file is empty")
    try:
        mode = Path(name).stat().st_mode
        if stat.S_ISFIFO(mode):
            _check_pipes(name, limits)
            pipe = Path(name).open("rb", buffering=0)  # noqa: SIM115 - closed below; opening may fail, reading may not
        else:
            _check_regular(name, mode)
    except FileNotFoundError as error:
        hint = "; of URLs, http, https and hf are read" if "://" in name else ""
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


@contextmanager
def _spooled(stream: BinaryIO, name: str, what: str, limits: Limits) -> Iterator[Source]:
    import tempfile  # slow to import, and seldom needed

    with tempfile.NamedTemporaryFile(prefix="llava-") as copy:
        try:
            _copy(stream, copy.fileno(), what, limits.max_bytes)
        except OSError as error:
            raise InputError(f"{what} cannot be copied to {copy.name}: {reason(error)}") from error
        yield Source(copy.name, name, limits)


def _copy(stream: BinaryIO, copy: int, what: str, max_bytes: int) -> None:
    """Copy all of `stream`. FFmpeg needs to seek: the index of an mp4 file often comes last."""
    size = 0
    while chunk := stream.read(CHUNK):
        size += len(chunk)
        if size > max_bytes:
            raise InputError(f"{what} gives more than {max_bytes} bytes; --max-bytes allows more, and so does a file")
        write_all(copy, chunk)
    if not size:
        raise InputError(f"{what} is empty; pipe a video or an image into it")
