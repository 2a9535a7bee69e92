# SPDX-License-Identifier: Apache-2.0
"""Images, and animations made of images, through Pillow.

GIF, APNG, WebP and AVIF files with more than one picture count as videos. Pillow reads them too, not FFmpeg, so that
transparency looks the same in a GIF as in a PNG, and because FFmpeg reads no animated WebP. They are walked from the
start: each picture builds on the one before, and they are short.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np
from PIL import (  # noqa: F401 - all plugins that are used: else Pillow imports all there are
    AvifImagePlugin,
    BmpImagePlugin,
    ExifTags,
    GifImagePlugin,
    IcoImagePlugin,
    Image,
    Jpeg2KImagePlugin,
    JpegImagePlugin,
    MpoImagePlugin,
    PngImagePlugin,
    PpmImagePlugin,
    TiffImagePlugin,
    UnidentifiedImageError,
    WebPImagePlugin,
)

from llava_cli.media.clip import Clip, MediaInfo, Still, View
from llava_cli.media.errors import MediaError
from llava_cli.media.geometry import EXIF, UPRIGHT, Orientation, bring_into_view
from llava_cli.media.jpeg import damage
from llava_cli.media.sampling import Timeline, choose
from llava_cli.media.source import Source, check_pixels, check_walk

# What Pillow may take a file for. The rest are rare, or hand the file to another program.
FORMATS = ("JPEG", "PNG", "GIF", "WEBP", "AVIF", "BMP", "DIB", "TIFF", "PPM", "JPEG2000", "ICO")
ANIMATED = ("GIF", "PNG", "WEBP", "AVIF")
HEIC_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"mif1")
UNTIMED = 0.1
"""Seconds that a picture without a time of its own is shown, as browsers do."""


def read_picture(source: Source, view: View) -> Clip | Still | None:
    """An image at full size, or the sampled pictures of an animation; None where the file is neither.

    Raises:
        MediaError: the image is damaged or too large.
    """
    with source.open() as file:
        image = _open(file, source)
        if image is None:
            return None
        check_pixels(image.width, image.height, source.limits)
        try:
            count = _count(image)
            if image.format in ANIMATED and count != 1:
                return _read_animation(source, image, count, view)
            return _read_still(source, image, file)
        except MediaError:
            raise
        except Exception as error:  # Pillow's parsers raise nearly anything on damaged files
            raise MediaError(f"is an image that is damaged or cut short: {error}") from error


def _open(file: BinaryIO, source: Source) -> Image.Image | None:
    Image.MAX_IMAGE_PIXELS = source.limits.max_pixels  # Pillow refuses twice as many, and warns of what we refuse
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            image = Image.open(file, formats=FORMATS)
    except UnidentifiedImageError:
        _refuse_heic(file)
        return None
    except Image.DecompressionBombError as error:
        allowed = source.limits.max_pixels
        raise MediaError(f"claims more than the {allowed} pixels allowed; --max-pixels allows more") from error
    except MediaError:  # a download that was refused
        raise
    except Exception as error:
        raise MediaError(f"is an image that cannot be read: {error}") from error
    _drop_xmp(image)
    _fit_colour_key(image)
    return image


def _drop_xmp(image: Image.Image) -> None:
    """Forget what is no more than a note for programs that edit: Pillow would turn the picture by it."""
    for packet in ("xmp", "XML:com.adobe.xmp"):
        image.info.pop(packet, None)


def _fit_colour_key(image: Image.Image) -> None:
    """Have the transparent colour of a PNG (tRNS) in the bits of Pillow's pixels, which it leaves in the file's."""
    key = image.info.get("transparency")
    if key is None or not isinstance(image, PngImagePlugin.PngImageFile) or not image.tile:
        return
    bits = image.tile[0].args
    if bits in ("L;2", "L;4"):
        image.info["transparency"] = key * (85 if bits == "L;2" else 17)
    elif bits == "RGB;16B":
        image.info["transparency"] = tuple(level >> 8 for level in key)


def _refuse_heic(file: BinaryIO) -> None:
    """Refuse a HEIC photo: FFmpeg would take it for a video and show one of its tiles."""
    file.seek(0)
    head = file.read(12)
    if head[4:8] == b"ftyp" and head[8:12] in HEIC_BRANDS:
        raise MediaError("is a HEIC image, which cannot be read; convert it to JPEG or PNG")


def _read_still(source: Source, image: Image.Image, file: BinaryIO) -> Still:
    count = getattr(image, "n_frames", 1)
    notes = [f"the first of {count} pictures is shown"] if image.format == "TIFF" and count > 1 else []
    image.load()  # before its tags: what is looked up in a PNG loads it too, and Pillow tells of damage only once
    if image.format in ("JPEG", "MPO") and (what := damage(file)):
        notes.append(f"damaged: parts of the picture may be wrong ({what})")
    orientation = _orientation(image)
    pixels = np.ascontiguousarray(orientation.apply(rgb(image)))
    info = MediaInfo(
        path=source.name,
        kind="image",
        width=pixels.shape[1],
        height=pixels.shape[0],
        codec=_codec(image),
        decoder="pillow",
        rotation=orientation.degrees,
        mirrored=orientation.mirrored,
        warnings=tuple(notes),
    )
    return Still(pixels, info)


def _count(image: Image.Image) -> int | None:
    """How many pictures there are; None where they cannot be counted for damage to one that is not the first."""
    try:
        return getattr(image, "n_frames", 1)
    except Exception:
        return None


def _codec(image: Image.Image) -> str:
    return (image.format or "unknown").lower()


def _orientation(image: Image.Image) -> Orientation:
    """What Exif asks for, or the container, of which Pillow makes Exif."""
    _drop_xmp(image)  # that comes after the pixels
    try:
        return EXIF.get(image.getexif().get(ExifTags.Base.Orientation), UPRIGHT)  # type: ignore[arg-type]
    except Exception:  # a damaged tag is no reason to refuse the picture
        return UPRIGHT


def rgb(image: Image.Image) -> np.ndarray:
    """uint8 [height, width, 3]: transparency on white, 16 bits scaled to 8.

    Raises:
        MediaError: the pixels are of a kind that cannot be converted.
    """
    if image.mode == "F":
        raise MediaError("has floating-point pixels; convert it to 8 or 16 bits")
    if image.mode.startswith("I"):  # 16-bit grayscale; Pillow's own conversion cuts off at 255
        wide = np.asarray(image).astype(np.int64).clip(0, 65535)
        grey = ((wide + 128) // 257).astype(np.uint8)
        if "transparency" in image.info:
            grey[wide == image.info["transparency"]] = 255
        return np.repeat(grey[..., None], 3, axis=2)
    if image.has_transparency_data:
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(white, image)
    return np.asarray(image.convert("RGB"))


@dataclass
class _Walk:
    """A walk through an animation, up to the first picture that cannot be read."""

    source: Source
    count: int | None
    broken: str | None = None

    def __iter__(self) -> Iterator[tuple[np.ndarray, float]]:
        """The pixels of each picture and the seconds that it is shown.

        The file is opened anew: once Pillow has met damage, it may find less on going back to the first picture.
        """
        with self.source.open() as file:
            image = _open(file, self.source)
            if image is None:
                return
            for index in range(self.count or self.source.limits.max_walk + 1):
                check_walk(index + 1, self.source.limits)
                try:
                    image.seek(index)
                    pixels = rgb(image)
                except Exception as error:
                    self.broken = str(error)
                    return
                yield pixels, (image.info.get("duration") or UNTIMED * 1000) / 1000


def _read_animation(source: Source, image: Image.Image, count: int | None, view: View) -> Clip:
    walk = _Walk(source, count)
    durations = [seconds for _, seconds in walk]
    if not durations:
        raise MediaError(f"is an animation of which no picture can be read: {walk.broken}")
    ends = np.cumsum(durations)
    timeline = Timeline([0.0, *ends[:-1].tolist()], tick=0.001, last=durations[-1])
    indices, notes = choose(timeline, view.sampling)
    if walk.broken is not None:
        notes.append(f"damaged: {len(durations)} of {count or 'an unknown number of'} pictures can be read")
    wanted = set(indices)
    frames = [bring_into_view(pixels, view) for index, (pixels, _) in enumerate(walk) if index in wanted]
    info = MediaInfo(
        path=source.name,
        kind="video",
        width=image.width,
        height=image.height,
        codec=_codec(image),
        decoder="pillow",
        duration=round(timeline.duration, 6),
        warnings=tuple(notes),
    )
    times = tuple(timeline.times[index] for index in indices)
    shown = np.stack(frames)
    return Clip(shown, tuple(indices), times, info, view.sampling, positions=view.positions, fit=view.fit)
