# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from media.rendering import marked, read_mark
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from llava_cli.media.clip import Clip, Fit, Sampling, Still, View
from llava_cli.media.errors import MediaError
from llava_cli.media.limits import DEFAULT
from llava_cli.media.picture import read_picture
from llava_cli.media.source import Source


def read(path: Path, frames: int = 8, fit: Fit = "full") -> Clip | Still | None:
    return read_picture(Source(str(path), path.name), View((32, 32), fit, Sampling(frames=frames)))


def still(path: Path) -> np.ndarray:
    media = read(path, fit="crop")
    assert isinstance(media, Still)
    return media.pixels


def save(tmp_path: Path, image: Image.Image, name: str = "x.png", **more: object) -> Path:
    image.save(tmp_path / name, **more)
    return tmp_path / name


def test_stills_keep_every_pixel_whatever_the_view(tmp_path: Path) -> None:
    pixels = marked(77, 200, 100)
    assert np.array_equal(still(save(tmp_path, Image.fromarray(pixels))), pixels)


def test_transparency_is_on_white(tmp_path: Path) -> None:
    image = Image.new("RGBA", (4, 4), (255, 0, 0, 0))
    image.putpixel((1, 0), (0, 0, 255, 255))
    image.putpixel((2, 0), (0, 0, 0, 128))
    pixels = still(save(tmp_path, image))
    assert pixels[0, :3].tolist() == [[255, 255, 255], [0, 0, 255], [127, 127, 127]]
    palette = Image.new("P", (2, 1), 1)
    palette.putpalette([10, 20, 30, 40, 50, 60])
    palette.putpixel((0, 0), 0)
    assert still(save(tmp_path, palette, transparency=0))[0].tolist() == [[255, 255, 255], [40, 50, 60]]
    assert still(save(tmp_path, Image.new("LA", (1, 1), (0, 0))))[0, 0].tolist() == [255, 255, 255]


def test_sixteen_bits_are_scaled_not_cut_off(tmp_path: Path) -> None:
    levels = np.array([[0, 128, 257, 32896, 65535]], np.uint16)
    for name in ("x.png", "x.tif"):
        assert still(save(tmp_path, Image.fromarray(levels), name))[0, :, 0].tolist() == [0, 0, 1, 128, 255]


def png(tmp_path: Path, depth: int, kind: int, row: bytes, pixels: int, key: bytes | None = None) -> Path:
    """A PNG of one row as the format has it, which Pillow does not write for every kind."""
    chunks = [(b"IHDR", struct.pack(">2I5B", pixels, 1, depth, kind, 0, 0, 0)), (b"tRNS", key)]
    chunks += [(b"IDAT", zlib.compress(b"\0" + row)), (b"IEND", b"")]
    path = tmp_path / "x.png"
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n"
        + b"".join(
            struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
            for kind, body in chunks
            if body is not None
        )
    )
    return path


def test_sixteen_bit_colour(tmp_path: Path) -> None:
    path = png(tmp_path, 16, 2, struct.pack(">6H", 0, 32896, 65535, 65535, 0, 257), 2)
    assert still(path).tolist() == [[[0, 128, 255], [255, 0, 1]]]


@pytest.mark.parametrize(
    ("depth", "row", "key", "shown"),
    [
        (1, b"\x40", 1, [0, 255]),
        (2, b"\x1b", 2, [0, 85, 255, 255]),
        (4, b"\x03\xf0", 3, [0, 255, 255, 0]),
        (8, b"\x00\x03\x80", 3, [0, 255, 128]),
        (16, struct.pack(">4H", 0, 300, 301, 32896), 300, [0, 255, 1, 128]),
    ],
)
def test_the_transparent_grey_of_a_png_is_on_white(
    tmp_path: Path, depth: int, row: bytes, key: int, shown: list[int]
) -> None:
    path = png(tmp_path, depth, 0, row, len(shown), struct.pack(">H", key))
    assert still(path)[0, :, 0].tolist() == shown


def test_the_transparent_colour_of_a_png_of_16_bits_is_on_white(tmp_path: Path) -> None:
    row = struct.pack(">6H", 0x102, 0x304, 0x506, 0x506, 0x304, 0x102)
    path = png(tmp_path, 16, 2, row, 2, struct.pack(">3H", 0x102, 0x304, 0x506))
    assert still(path)[0].tolist() == [[255, 255, 255], [5, 3, 1]]


@pytest.mark.parametrize("mode", ["1", "L", "CMYK", "YCbCr"])
def test_every_colour_model_becomes_rgb(tmp_path: Path, mode: str) -> None:
    pixels = still(save(tmp_path, Image.fromarray(marked(5, 32, 32)).convert(mode, dither=Image.Dither.NONE), "x.tif"))
    assert pixels.shape == (32, 32, 3)
    assert read_mark(pixels) == 5


def test_exif_orientation(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    upright = marked(9, 64, 48)
    media = read(save(tmp_path, Image.fromarray(np.rot90(upright)), "x.jpg", exif=exif, quality=95))
    assert isinstance(media, Still)
    assert (media.info.width, media.info.height, media.info.rotation) == (64, 48, 90)
    assert read_mark(media.pixels) == 9


XMP = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:Description tiff:Orientation="3"/></x:xmpmeta>'


@pytest.mark.parametrize("kind", ["JPEG", "MPO", "WEBP", "AVIF", "PNG", "TIFF"])
def test_only_exif_and_the_container_turn_a_picture(tmp_path: Path, kind: str) -> None:
    """XMP's orientation is a note for programs that edit, and may be that of another version of the file."""
    more: dict[str, object] = {"xmp": XMP}
    if kind == "PNG":
        more = {"pnginfo": PngInfo()}
        more["pnginfo"].add_itxt("XML:com.adobe.xmp", XMP.decode())  # type: ignore[attr-defined]
    elif kind == "TIFF":
        more = {"tiffinfo": {700: XMP}}
    path = save(tmp_path, Image.fromarray(marked(9, 64, 48)), "x", format=kind, **more)
    with Image.open(path) as image:
        assert image.getexif()[0x0112] == 3, "what Pillow makes of it"
    media = read(path)
    assert isinstance(media, Still)
    assert (media.info.rotation, read_mark(media.pixels)) == (0, 9)
    exif = Image.Exif()
    exif[0x0112] = 6
    more |= {"tiffinfo": {700: XMP, 0x0112: 6}} if kind == "TIFF" else {"exif": exif}
    turned = Image.fromarray(np.rot90(marked(9, 64, 48)))
    assert read_mark(still(save(tmp_path, turned, "y", format=kind, **more))) == 9


@pytest.mark.parametrize("name", ["x.jpg", "x.png", "x.webp", "x.gif", "x.bmp"])
def test_a_truncated_image_is_an_error_that_says_so(tmp_path: Path, name: str) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    path = save(tmp_path, Image.fromarray(noise), name)
    path.write_bytes(path.read_bytes()[:-700])
    with pytest.raises(MediaError, match=r"damaged or cut short|cannot be read"):
        read(path)


def test_a_claim_of_too_many_pixels_is_refused_before_decoding(tmp_path: Path) -> None:
    path = save(tmp_path, Image.new("L", (8, 8)), "x.gif")
    data = bytearray(path.read_bytes())
    data[6:10] = struct.pack("<2H", 60000, 60000)
    path.write_bytes(data)
    with pytest.raises(MediaError, match=f"claims more than the {DEFAULT.max_pixels} pixels allowed"):
        read(path)


def test_a_bomb_between_pillows_warning_and_its_error_is_refused(
    tmp_path: Path, recwarn: pytest.WarningsRecorder
) -> None:
    path = save(tmp_path, Image.new("1", (16384, 8193)))
    with pytest.raises(MediaError, match="claims 16384x8193 pixels, more than"):
        read(path)
    assert not recwarn


def test_a_heic_photo_is_refused_where_one_of_its_tiles_would_be_shown(tmp_path: Path) -> None:
    (tmp_path / "x.heic").write_bytes(b"\0\0\0\x18ftypheic" + bytes(100))
    with pytest.raises(MediaError, match="is a HEIC image"):
        read(tmp_path / "x.heic")


def test_formats_that_run_other_programs_are_not_recognised(tmp_path: Path) -> None:
    (tmp_path / "x.eps").write_text("%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\nshowpage\n")
    assert read(tmp_path / "x.eps") is None


def test_no_image_is_left_to_the_video_decoders(tmp_path: Path) -> None:
    (tmp_path / "x.png").write_bytes(b"\0\0\0\x18ftypmp42" + bytes(100))
    assert read(tmp_path / "x.png") is None


PICTURES = [marked(index, 64, 48) for index in range(20)]


@pytest.mark.parametrize(("name", "more"), [("x.gif", {}), ("x.png", {}), ("x.webp", {"lossless": True})])
def test_animations_are_videos(tmp_path: Path, name: str, more: dict[str, object]) -> None:
    first, *rest = map(Image.fromarray, PICTURES)
    path = save(tmp_path, first, name, save_all=True, append_images=rest, duration=100, loop=0, **more)
    clip = read(path, 5)
    assert isinstance(clip, Clip)
    assert clip.info.kind == "video"
    assert clip.indices == (0, 4, 8, 12, 16)
    assert clip.times == pytest.approx([0, 0.4, 0.8, 1.2, 1.6])
    assert clip.info.duration == pytest.approx(2.0)
    assert [read_mark(frame) for frame in clip.frames] == [0, 4, 8, 12, 16]
    scaled = read(path, 5, "crop")
    assert isinstance(scaled, Clip)
    assert scaled.frames.shape == (5, 32, 32, 3)


def test_an_animation_of_one_picture_is_a_still(tmp_path: Path) -> None:
    assert isinstance(read(save(tmp_path, Image.fromarray(PICTURES[0]), "x.gif", save_all=True)), Still)


def test_an_animation_with_pauses_is_sampled_by_time(tmp_path: Path) -> None:
    first, *rest = map(Image.fromarray, PICTURES)
    path = save(tmp_path, first, "x.gif", save_all=True, append_images=rest, duration=[2000] + [100] * 19)
    clip = read(path, 4)
    assert isinstance(clip, Clip)
    assert clip.indices == (0, 10)  # at 0, 0.975, 1.95 and 2.925 of 3.9 seconds
    assert clip.times == pytest.approx((0, 2.9))
    assert [read_mark(frame) for frame in clip.frames] == [0, 10]


def test_transparent_animations_are_on_white(tmp_path: Path) -> None:
    pictures = [Image.new("RGBA", (8, 8), (index, 0, 0, 255 * (index > 0))) for index in range(3)]
    path = save(tmp_path, pictures[0], "x.webp", save_all=True, append_images=pictures[1:], lossless=True)
    clip = read(path, 3)
    assert isinstance(clip, Clip)
    assert clip.frames[:, 0, 0].tolist() == [[255, 255, 255], [1, 0, 0], [2, 0, 0]]


def test_a_truncated_animation_gives_what_is_there(tmp_path: Path) -> None:
    first, *rest = map(Image.fromarray, PICTURES)
    path = save(tmp_path, first, "x.png", save_all=True, append_images=rest)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    clip = read(path, 20)
    assert isinstance(clip, Clip)
    assert 2 < len(clip.indices) < 20
    assert [read_mark(frame) for frame in clip.frames] == list(clip.indices)
    assert any("of 20 pictures can be read" in warning for warning in clip.info.warnings)


def test_a_damaged_png_is_an_error_and_not_half_a_picture(tmp_path: Path) -> None:
    path = save(tmp_path, Image.fromarray(marked(5, 64, 48)))
    data = bytearray(path.read_bytes())
    place = data.index(b"IDAT")
    end = place + 4 + int.from_bytes(data[place - 4 : place])
    data[(place + end) // 2] ^= 0xFF
    data[end : end + 4] = zlib.crc32(data[place:end]).to_bytes(4)
    path.write_bytes(data)
    with pytest.raises(MediaError, match="damaged or cut short"):
        read(path)


@pytest.mark.parametrize(("name", "mark"), [("x.png", b"fdAT"), ("x.gif", b"\x21\xf9\x04")])
def test_damage_to_a_later_picture_leaves_those_before_it(tmp_path: Path, name: str, mark: bytes) -> None:
    first, *rest = map(Image.fromarray, PICTURES)
    path = save(tmp_path, first, name, save_all=True, append_images=rest)
    parts = path.read_bytes().split(mark)
    late = bytearray(parts[10])
    late[len(late) // 2] ^= 0xFF
    # In an APNG picture 10 is noise; a GIF ends at its head.
    path.write_bytes(mark.join([*parts[:10], late, *parts[11:]]) if name == "x.png" else mark.join(parts[:10]) + mark)
    clip = read(path, 20)
    assert isinstance(clip, Clip)
    assert 5 < len(clip.indices) < 20
    assert [read_mark(frame) for frame in clip.frames] == list(clip.indices)
    assert any("pictures can be read" in warning for warning in clip.info.warnings)
