# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import struct
from fractions import Fraction

import numpy as np
import pytest
from PIL import Image

from llava_cli.media.clip import NativeSizes, Sampling, View
from llava_cli.media.errors import MediaError
from llava_cli.media.geometry import (
    AXES,
    EXIF,
    UPRIGHT,
    Orientation,
    bring_into_view,
    display_size,
    fitting,
    from_display_matrix,
    native_size,
)

ONE = 1 << 16
CORNERS = np.array([[1, 2, 3], [4, 5, 6]])


def matrix(a: float, b: float, c: float, d: float) -> bytes:
    return struct.pack("=9i", int(a * ONE), int(b * ONE), 0, int(c * ONE), int(d * ONE), 0, 0, 0, 1 << 30)


@pytest.mark.parametrize("axes", AXES)
def test_each_matrix_moves_pixels_where_it_says(axes: tuple[int, int, int, int]) -> None:
    a, b, c, d = axes
    rows, columns = CORNERS.shape
    places = {(a * x + c * y, b * x + d * y): CORNERS[y, x] for y in range(rows) for x in range(columns)}
    left, top = min(x for x, _ in places), min(y for _, y in places)
    turned = from_display_matrix(matrix(*axes)).apply(CORNERS)
    assert {(x + left, y + top): turned[y, x] for y, x in np.ndindex(turned.shape)} == places


@pytest.mark.parametrize(
    ("exif", "expected"),
    [
        (2, [[3, 2, 1], [6, 5, 4]]),
        (3, [[6, 5, 4], [3, 2, 1]]),
        (4, [[4, 5, 6], [1, 2, 3]]),
        (5, [[1, 4], [2, 5], [3, 6]]),
        (6, [[4, 1], [5, 2], [6, 3]]),
        (7, [[6, 3], [5, 2], [4, 1]]),
        (8, [[3, 6], [2, 5], [1, 4]]),
    ],
)
def test_exif_orientations(exif: int, expected: list[list[int]]) -> None:
    assert EXIF[exif].apply(CORNERS).tolist() == expected


@pytest.mark.parametrize(
    "garbage", [b"", b"\0" * 36, b"\x80" * 36, matrix(0.7, 0.7, -0.7, 0.7), matrix(1, 0, 1, 0), matrix(1, 1, 1, 1)]
)
def test_matrices_without_sense_count_as_upright(garbage: bytes) -> None:
    assert from_display_matrix(garbage) == UPRIGHT


def test_a_scaled_matrix_turns_all_the_same() -> None:
    assert from_display_matrix(matrix(0, 2, -2, 0)) == Orientation(1)


@pytest.mark.parametrize(
    ("width", "height", "scaled", "corner"),
    [
        (640, 360, (597, 336), (0, 130)),
        (360, 640, (336, 597), (130, 0)),
        (336, 336, (336, 336), (0, 0)),
        (1920, 1080, (597, 336), (0, 130)),
        (100, 101, (336, 339), (1, 0)),
        (300, 331, (336, 370), (17, 0)),
        (331, 300, (370, 336), (0, 17)),
        (5000, 10, (168000, 336), (0, 83832)),
    ],
)
def test_crop_follows_the_published_arithmetic(
    width: int, height: int, scaled: tuple[int, int], corner: tuple[int, int]
) -> None:
    plan = fitting(width, height, View((336, 336), "crop", Sampling()))
    assert (plan.width, plan.height) == scaled
    assert (plan.top, plan.left) == corner
    assert (plan.cut_width, plan.cut_height) == (336, 336)


@pytest.mark.parametrize(("width", "height"), [(640, 360), (360, 640), (100, 99), (7, 1000), (3, 3)])
def test_crop_covers_a_size_that_is_not_square(width: int, height: int) -> None:
    plan = fitting(width, height, View((120, 200), "crop", Sampling()))
    assert plan.cut(np.zeros((plan.height, plan.width, 3))).shape == (120, 200, 3)
    assert plan.height == 120 or plan.width == 200


def test_squash_and_full() -> None:
    assert fitting(640, 360, View((384, 300), "squash", Sampling())).cut(np.zeros((384, 300))).shape == (384, 300)
    plan = fitting(640, 360, View((1, 1), "full", Sampling()))
    assert (plan.width, plan.height, plan.cut_width, plan.cut_height) == (640, 360, 640, 360)


@pytest.mark.parametrize(
    ("size", "expected"), [((1920, 1080), (768, 432)), ((1080, 1920), (432, 768)), ((640, 360), (640, 360)),
                           ((768, 768), (768, 768)), ((100_000, 3), (768, 1))],
)  # fmt: skip
def test_inside_keeps_the_shape_and_makes_nothing_larger(size: tuple[int, int], expected: tuple[int, int]) -> None:
    plan = fitting(*size, View((768, 768), "inside", Sampling()))
    assert (plan.width, plan.height) == (plan.cut_width, plan.cut_height) == expected
    assert (plan.top, plan.left) == (0, 0)


STILLS, FRAMES = NativeSizes(28, 3136, 4_000_000), NativeSizes(28, 3136, 153_664)


@pytest.mark.parametrize(
    ("source", "sizes", "expected"),
    [
        ((320, 240), STILLS, (308, 252)),
        ((640, 360), STILLS, (644, 364)),
        ((1280, 720), STILLS, (1288, 728)),
        ((3840, 2160), STILLS, (2660, 1484)),
        ((98, 42), STILLS, (112, 56)),
        ((50, 70), STILLS, (56, 56)),
        ((640, 480), FRAMES, (448, 336)),
        ((1920, 1080), FRAMES, (504, 280)),
        ((320, 240), NativeSizes(28, 200_704, 602_112), (532, 392)),
        ((50, 70), NativeSizes(28, 200_704, 1_605_632), (392, 532)),
        ((5, 1000), STILLS, (28, 812)),
    ],
)
def test_native_sizes_follow_the_published_arithmetic(
    source: tuple[int, int], sizes: NativeSizes, expected: tuple[int, int]
) -> None:
    width, height = source
    assert native_size(height, width, sizes) == expected[::-1]
    plan = fitting(width, height, View(sizes.largest, "native", Sampling(), sizes=sizes))
    assert (plan.width, plan.height, plan.cut_width, plan.cut_height) == (*expected, *expected)


def test_a_picture_200_times_as_long_as_wide_is_the_longest() -> None:
    assert native_size(10, 2000, STILLS)
    for size in ((10, 2001), (2001, 10)):
        with pytest.raises(MediaError, match="one edge is more than 200 times as long as the other"):
            native_size(*size, STILLS)


def test_the_largest_native_size_has_about_as_many_pixels_as_may_be_and_is_kept() -> None:
    for most in (6272, 31360, 153_664, 602_112, 4_000_000):
        sizes = NativeSizes(28, 3136, most)
        height, width = sizes.largest
        assert most * 0.98 < height * width + 28 * 28 <= most + 28 * 28 * 2
        assert native_size(height, width, sizes) == (height, width)


def test_pixel_shapes() -> None:
    assert display_size(720, 576, Fraction(16, 15)) == (768, 576)
    assert display_size(720, 576, None) == (720, 576)
    assert display_size(720, 576, Fraction(1000)) == display_size(720, 576, Fraction(0)) == (720, 576)


@pytest.mark.parametrize("mirrored", [False, True])
@pytest.mark.parametrize("turns", range(4))
def test_images_are_turned_as_pixels_are(turns: int, mirrored: bool) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (4, 6, 3), dtype=np.uint8)
    orientation = Orientation(turns, mirrored)
    assert np.array_equal(orientation.turn(Image.fromarray(pixels)), orientation.apply(pixels))


def test_bring_into_view_scales_with_the_view_s_filter() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (40, 60, 3), dtype=np.uint8)
    for resample in Image.Resampling:
        expected = Image.fromarray(pixels).resize((30, 20), resample)
        assert np.array_equal(bring_into_view(pixels, View((20, 30), "squash", Sampling(), resample)), expected)


def test_bring_into_view_keeps_pixels_that_fit() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (40, 60, 3), dtype=np.uint8)
    cut = bring_into_view(pixels, View((40, 40), "crop", Sampling()))
    assert np.array_equal(cut, pixels[:, 10:50])
    assert bring_into_view(pixels, View((20, 20), "squash", Sampling())).shape == (20, 20, 3)
