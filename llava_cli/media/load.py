# SPDX-License-Identifier: Apache-2.0
"""The way in: a file of any kind, by name, becomes a clip or a still, or one clear error."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from llava_cli.errors import InputError
from llava_cli.media.clip import Clip, Media, View
from llava_cli.media.errors import DecoderError, MediaError, reason
from llava_cli.media.limits import DEFAULT, Limits
from llava_cli.media.opening import open_source
from llava_cli.media.sampling import check
from llava_cli.media.source import HeldSource, Name, Source

if TYPE_CHECKING:
    from llava_cli.media.last import LastVideo


def load_media(
    media: Name | Source,
    view: View,
    *,
    limits: Limits = DEFAULT,
    threads: int | None = None,
    last: LastVideo | None = None,
) -> Media:
    """What a file shows: a clip, sampled and scaled to `view`, or a still at full size.

    The kind is told by the content. "-" is standard input; it and pipes are first copied to a temporary file. URLs
    are read where `limits.urls` says so. For a source that is open already its own limits hold. Decoding uses `threads`
    threads, by default one a core. A part of a video (`start`, `end`) is read by what is open of the `last` one, which
    stays open for the next part. What the user should know of the file or of how it was read is in `info.warnings`,
    a sentence each.

    Raises:
        InputError: it gives no picture; the message names it.
        UsageError: the sampling makes no sense.
    """
    check(view.sampling)
    with open_source(media, limits) as source, reported(source):
        return _load(source, view, threads, last)


@contextmanager
def reported(source: Source) -> Iterator[None]:
    """Have what goes wrong with a file's content be told of the file.

    Raises:
        InputError: what was raised inside, with the file's name.
    """
    try:
        yield
    except MediaError as error:
        raise InputError(f"{source.name}: {error}") from error
    except MemoryError as error:
        raise InputError(f"{source.name}: too large to decode in memory; ask for fewer frames") from error


def _load(source: Source, view: View, threads: int | None, last: LastVideo | None) -> Media:
    from llava_cli.media.picture import read_picture

    picture = read_picture(source, view)
    if picture is not None:
        return picture
    try:
        return _with_pyav(source, view, threads, last)
    except DecoderError as error:
        return _with_opencv(source, view, error)


def _with_pyav(source: Source, view: View, threads: int | None, last: LastVideo | None) -> Clip:
    try:
        from llava_cli.media import sampler
    except ImportError as error:
        raise DecoderError(f"cannot be read with PyAV: {error}") from error
    with explained():
        if last is not None and isinstance(source, HeldSource) and view.sampling.is_part:
            return sampler.read_part(last.of(source), view, threads)
        return sampler.read_clip(source, view, threads)


@contextmanager
def explained() -> Iterator[None]:
    """Have what PyAV raises of a file be an error of ours.

    Raises:
        DecoderError: what was raised inside, in a word.
    """
    import av

    try:
        yield
    except (av.FFmpegError, OSError, EOFError, ValueError, IndexError, ArithmeticError, RuntimeError) as error:
        raise DecoderError(f"is no video or image that can be read ({reason(error)})") from error


def _with_opencv(source: Source, view: View, first: DecoderError) -> Clip:
    """Try the second decoder; where it fails too, the first one's reason is the better one."""
    try:
        import cv2

        from llava_cli.media import opencv
    except ImportError:
        raise first from None
    try:
        clip = opencv.read_clip(source, view)
    except (DecoderError, cv2.error, OSError, ValueError, ArithmeticError) as error:
        raise first from error
    note = f"decoded by OpenCV; with PyAV it {first}"
    return replace(clip, info=replace(clip.info, warnings=(note, *clip.info.warnings)))
