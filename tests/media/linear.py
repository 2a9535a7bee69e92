# SPDX-License-Identifier: Apache-2.0
"""Decodes a file from its start, without the reader, and says where a clip or a still of it is wrong.

The decode is PyAV's own: opened with its defaults, one thread, every packet of the video track in turn; one that is
refused is passed over. Of the reader's code it shares what makes pixels of a frame (`FrameScaler`, `rgb`) and what
chooses frames on a timeline (`choose`), which have tests of their own. For files that Pillow reads it is a walk from
picture to picture.

A clip is right where all of it agrees with one reading of the file:

- as decoded: the frames in the order in which they come out. A frame's time is its stamp less the first one's; where
  the stamps do not rise, its place over the rate that FFmpeg makes out.
- as listed: the packets that hold a frame in the order of their stamps, which is that of display. This counts where
  all decoded frames are among them, and where the decode meets damage: packets that no sampled frame needs are not
  tried, and keep their places. The frames may then be taken for evenly spaced where those that are shown are: an index
  may hold no stamps of display, and the reader learns only those of the frames that it takes.

To agree is to have exactly the indices that sampling chooses on that reading's timeline, the time of each, and the
bytes of the frame that the decode gives for it: the one in that place, or with that stamp. A listed frame that does not
come out, or whose stamp comes twice, cannot be shown. How long the last frame lasts may be known or not.

An error is wrong where the decode gives frames and meets no damage, and where Pillow's walk gives a picture, unless it
is about a limit. Damage is what FFmpeg reports: a packet refused, a packet or a frame marked, an error in its log.

Where a frame is damaged, a decoder may leave whatever its memory held before in the parts that it cannot make, often
without a word. Such parts are no function of the file. So each file is decoded twice, once with fresh memory for every
frame and once in memory that is used again and again, and the bytes of frames that come out differently are left out.
Compared are all frames that damage has not touched, and those that it spoils in the same way both times.

Left out altogether are files that OpenCV decoded, those whose best track is a cover, those of more frames than the
limits allow to be walked or of too many pixels to be held, and what the receipt says of size and warnings.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import accumulate, pairwise, zip_longest
from pathlib import Path

import av
import av.logging
import numpy as np
from av.stream import Disposition
from PIL import Image, ImageOps

from llava_cli.media import Clip, Sampling, Still, View
from llava_cli.media.errors import MediaError
from llava_cli.media.geometry import bring_into_view
from llava_cli.media.limits import Limits
from llava_cli.media.picture import FORMATS as PICTURES
from llava_cli.media.picture import UNTIMED, rgb
from llava_cli.media.sampling import Timeline, choose
from llava_cli.media.scaler import FrameScaler
from llava_cli.media.source import FORMATS

HELD = 1 << 28
"""Bytes of decoded frames to hold at most."""


class NotCompared(Exception):
    """The file is one of those that are left out."""


@dataclass
class Decode:
    """A decode from the start."""

    stamps: list[int | None] = field(default_factory=list)
    pixels: list[np.ndarray] = field(default_factory=list)
    """Each frame in the wanted view."""
    listed: list[tuple[int | None, int]] = field(default_factory=list)
    """Stamp and length of each packet that holds a frame."""
    turns: list[int] = field(default_factory=list)
    """When each of them is decoded."""
    tick: Fraction = Fraction(1)
    rate: Fraction = Fraction(25)
    damaged: bool = False


@dataclass(frozen=True)
class Reading:
    """One way to say which frames a file has, in order."""

    times: Sequence[float]
    frames: Sequence[int | None]
    """The place of each among the decoded frames."""
    tick: float = 0.0
    ends: Sequence[float | None] = (None,)
    """How long the last frame may be taken to be shown; None is as long as the others."""
    even: float | None = None
    """Seconds between frames where they may be taken for evenly spaced if those that are shown are."""

    def disagrees(self, clip: Clip, decode: Decode, steady: Sequence[bool]) -> str | None:
        """Say in what the clip differs, if it does."""
        timelines = [Timeline(self.times, self.tick, end) for end in self.ends]
        if self.even is not None:
            even = Timeline([place * self.even for place in range(len(self.times))], self.tick)
            shown = zip(clip.indices, clip.times, strict=True)
            timelines += [even] * all(index < even.total and even.fits(index, time) for index, time in shown)
        choices = [_choice(timeline, clip) for timeline in timelines]
        if list(clip.indices) not in choices:
            return f"indices {clip.indices}, not {choices}"
        for index, time, pixels in zip(clip.indices, clip.times, clip.frames, strict=True):
            place = self.frames[index]
            if abs(time - self.times[index]) > 1e-9:
                return f"frame {index} at {time}, not {self.times[index]}"
            if place is None:
                return f"frame {index} does not come out"
            if steady[place] and not np.array_equal(pixels, _like(pixels, decode.pixels[place])):
                same = [i for i, found in enumerate(decode.pixels) if np.array_equal(pixels, _like(pixels, found))]
                return f"frame {index} is not the decode's {place}; equal are {same}"
        return None


def _choice(timeline: Timeline, clip: Clip) -> list[int]:
    try:
        return choose(timeline, clip.sampling)[0]
    except MediaError:
        return []


def _like(pixels: np.ndarray, found: np.ndarray) -> np.ndarray:
    """Where pictures change in size on the way, all are brought to that of the first one that is shown."""
    same = View(pixels.shape[:2], "squash", Sampling())
    return found if found.shape == pixels.shape else bring_into_view(found, same)


def wrong(path: Path, view: View, media: Clip | Still | None, limits: Limits) -> str | None:
    """Say what is wrong with what came of a file, None being an error. Raises NotCompared."""
    if media is None or media.info.decoder == "pillow":
        walk = _walk(path, limits)
        if walk is not None:
            return _wrong_pictures(walk, view, media)
    if media is not None and media.info.decoder == "opencv":
        raise NotCompared
    try:
        decode = _decode(path, view, limits, hold=True)
    except MediaError:  # colours that cannot be converted
        return None if media is None else "frames of no colour that is known"
    if media is None:
        return "an error" if decode.pixels and not decode.damaged else None
    assert isinstance(media, Clip)
    steady = _steady(path, view, limits, decode)
    found = [reading.disagrees(media, decode, steady) for reading in _readings(decode)]
    return None if None in found else f"{'damaged' if decode.damaged else 'sound'}: {'; or '.join(map(str, found))}"


def _steady(path: Path, view: View, limits: Limits, decode: Decode) -> list[bool]:
    """Return which of the decoded frames are functions of the file."""
    again = _decode(path, view, limits, hold=False).pixels
    return [one is not None and np.array_equal(one, two) for one, two in zip_longest(decode.pixels, again)]


def _readings(decode: Decode) -> Iterator[Reading]:
    stamps, tick = decode.stamps, decode.tick
    places = range(len(stamps))
    if _rise(stamps):
        yield Reading([_seconds(stamp, stamps[0], tick) for stamp in stamps], places, float(tick))
    else:
        yield Reading([place / float(decode.rate) for place in places], places)
    listed = sorted((stamp, length) for stamp, length in decode.listed if stamp is not None)
    order = [stamp for stamp, _ in listed]
    if order and len(order) == len(decode.listed) and (decode.damaged or set(stamps) <= set(order)):
        place = {stamp: stamps.index(stamp) for stamp in stamps if stamps.count(stamp) == 1}
        times = [_seconds(stamp, order[0], tick) for stamp in order]
        places, ends = [place.get(stamp) for stamp in order], (None, float(listed[-1][1] * tick) or None)
        pace = _seconds(decode.turns[-1], decode.turns[0], tick) / max(1, len(order) - 1)
        yield Reading(times, places, float(tick), ends, pace)


def _rise(stamps: Sequence[int | None]) -> bool:
    return bool(stamps) and None not in stamps and all(here < there for here, there in pairwise(stamps))


def _seconds(stamp: int, first: int, tick: Fraction) -> float:
    return (stamp - first) * tick.numerator / tick.denominator


def _decode(path: Path, view: View, limits: Limits, hold: bool) -> Decode:
    """Decode the whole file; with `hold`, keep every frame to the end, so that none gets the memory of another."""
    found = Decode()
    held: list[av.VideoFrame] = []
    size = 0
    with _logged() as log:
        pixels = {"max_pixels": str(limits.max_pixels)}
        try:
            container = av.open(
                f"file:{path}", options={"format_whitelist": FORMATS, **pixels}, metadata_errors="replace"
            )
        except (av.FFmpegError, OSError, EOFError, ValueError):
            return found
        with container:
            track = container.streams.best("video")
            if track is None or track.codec_context is None:
                return found
            if track.disposition & Disposition.attached_pic:
                raise NotCompared
            track.codec_context.thread_count = 1
            track.codec_context.options = pixels
            shrink = FrameScaler(view, track.sample_aspect_ratio)
            found.tick = track.time_base
            for frame in _frames(container, track, found):
                size += frame.width * frame.height * 3
                if size > HELD or len(found.pixels) >= limits.max_walk:
                    raise NotCompared
                if hold:
                    held.append(frame)
                found.stamps.append(frame.pts)
                found.pixels.append(shrink(0, 0.0, frame).pixels)
                found.damaged |= frame.is_corrupt
            found.rate = track.average_rate or track.guessed_rate or Fraction(25)
    found.damaged |= bool(log)
    return found


def _frames(container: av.container.InputContainer, track: av.VideoStream, found: Decode) -> Iterator[av.VideoFrame]:
    hiding = track.codec_context.name == "vp8"
    packets = container.demux(track)
    while True:
        try:
            packet = next(packets, None)
        except BlockingIOError:  # no more than "ask again"
            packets = container.demux(track)
            continue
        except av.FFmpegError:
            found.damaged, packet = True, None
        except IndexError:  # PyAV's, after the last packet, of a track that has appeared on the way
            packet = None
        if packet is not None and packet.size:
            found.damaged |= packet.is_corrupt
            if not packet.is_discard and not (hiding and not bytes(packet)[0] & 0x10):
                found.listed.append((packet.pts, packet.duration or 0))
                found.turns.append(packet.dts or 0)
        try:
            yield from track.codec_context.decode(packet if packet is not None and packet.size else None)
        except (av.FFmpegError, EOFError):
            found.damaged = True
        if packet is None or not packet.size:
            return


@contextmanager
def _logged() -> Iterator[list[tuple[int, str, str]]]:
    """Collect what FFmpeg logs as an error."""
    av.logging.set_level(av.logging.ERROR)
    try:
        with av.logging.Capture(local=False) as log:
            yield log
    finally:
        av.logging.set_level(None)


@dataclass
class Walk:
    """The pictures of a file that Pillow reads, up to the first that is damaged, and the seconds that each is shown."""

    pixels: list[np.ndarray]
    lengths: list[float]
    upright: np.ndarray | None = None
    """The first picture, turned as its tag says; animations are not turned."""


def _walk(path: Path, limits: Limits) -> Walk | None:
    """Return None where the file is none of Pillow's."""
    walk = Walk([], [])
    with warnings.catch_warnings(), path.open("rb") as file:  # of a name, Pillow may close the file after one picture
        warnings.simplefilter("ignore")
        try:
            image = Image.open(file, formats=PICTURES)
        except Exception:
            return None
        for index in range(limits.max_walk):
            try:
                image.seek(index)
                walk.pixels.append(rgb(image))
            except Exception:
                break
            if not index:
                walk.upright = rgb(_upright(image))
            walk.lengths.append((image.info.get("duration") or UNTIMED * 1000) / 1000)
    return walk


def _upright(image: Image.Image) -> Image.Image:
    try:
        return ImageOps.exif_transpose(image)
    except Exception:  # the tag is damaged
        return image


def _wrong_pictures(walk: Walk, view: View, media: Clip | Still | None) -> str | None:
    if media is None:
        return "an error" if walk.pixels else None
    if isinstance(media, Still):
        return None if walk.upright is not None and np.array_equal(media.pixels, walk.upright) else "another picture"
    pixels = [bring_into_view(picture, view) for picture in walk.pixels]
    starts = [0.0, *accumulate(walk.lengths)][:-1]
    decode = Decode(pixels=pixels)
    reading = Reading(starts, range(len(starts)), 0.001, [walk.lengths[-1]])
    return reading.disagrees(media, decode, [True] * len(pixels))
