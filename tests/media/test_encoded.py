# SPDX-License-Identifier: Apache-2.0
"""Pictures as files: a PNG loses nothing, a JPEG is of the quality asked for."""

from __future__ import annotations

import base64
import io

import numpy as np
from pictures import noise
from PIL import Image

from llava_cli.media.encoded import encoded

PIXELS = noise(0, 33, 47, 3)


def read(text: str) -> Image.Image:
    return Image.open(io.BytesIO(base64.b64decode(text, validate=True)))


def test_a_png_is_the_picture_to_the_byte():
    picture = read(encoded(PIXELS))
    assert (picture.format, picture.mode) == ("PNG", "RGB")
    np.testing.assert_array_equal(np.asarray(picture), PIXELS)


def test_a_jpeg_is_close_and_closer_with_more_quality():
    errors = []
    for quality in (20, 95):
        picture = read(encoded(PIXELS, quality))
        assert picture.format == "JPEG"
        errors.append(np.abs(np.asarray(picture).astype(int) - PIXELS).mean())
    assert errors[1] < errors[0] / 2


def test_rows_that_do_not_lie_side_by_side():
    turned = np.rot90(PIXELS)[:, ::-1]
    np.testing.assert_array_equal(np.asarray(read(encoded(turned))), turned)
