# SPDX-License-Identifier: Apache-2.0
"""AnyRes: how much of a canvas shows the picture. That it is as the models do, the families' tests say."""

from __future__ import annotations

import pytest

from llava_cli.models.anyres import limited_patches, shown_patches

CANVASES = [[336, 672], [672, 336], [672, 672]]


@pytest.mark.parametrize(
    ("picture", "shown"),
    [
        ((672, 672), (48, 48)),
        ((336, 672), (24, 48)),
        ((672, 336), (48, 24)),
        ((300, 672), (22, 48)),  # padded above and below, by as many rows
        ((672, 300), (48, 22)),
        ((327, 672), (24, 48)),  # one row less is needed, but rows go in pairs
        ((1, 2000), (0, 48)),  # the whole picture, which is seen too, must do
    ],
)
def test_padding_is_left_out(picture, shown):
    assert shown_patches(picture, CANVASES, 336, 24) == shown


def test_a_small_picture_is_left_as_it_is():
    assert limited_patches(27, 27, 27, 9) == (27, 27)
    assert limited_patches(81, 81, 27, 9) == (81, 81)


def test_a_large_picture_shrinks_to_about_the_limit_and_keeps_its_shape():
    rows, columns = limited_patches(162, 108, 27, 9)
    assert rows * columns == pytest.approx(9 * 27 * 27, rel=0.03)
    assert rows / columns == pytest.approx(162 / 108, rel=0.02)
