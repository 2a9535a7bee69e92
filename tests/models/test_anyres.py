# SPDX-License-Identifier: Apache-2.0
"""AnyRes: how much of a canvas shows the picture. That it is as the models do, the families' tests say."""

from __future__ import annotations

import subprocess
import sys
from random import Random

import pytest

from llava_cli.models.anyres import best_canvas, limited_patches, shown_patches

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


@pytest.mark.parametrize("edge", [336, 384])
def test_the_canvas_is_the_one_that_the_library_chooses(edge):
    from transformers.image_processing_utils import select_best_resolution

    grid = [[edge * rows, edge * columns] for rows in range(1, 7) for columns in range(1, 7)]
    dice = Random(0)
    sizes = [(dice.randint(1, 3000), dice.randint(1, 3000)) for _ in range(2000)] + [(1, 5000), (5000, 1), (edge, edge)]
    for canvases in (grid, [[336, 672], [672, 336], [672, 672], [1008, 336], [336, 1008]]):
        for size in sizes:
            assert tuple(best_canvas(size, canvases)) == tuple(select_best_resolution(size, canvases))


def test_what_a_still_takes_is_counted_without_torch(tmp_path):
    """`llava frames` is for machines that have none, and for people who do not want to wait for it."""
    program = (
        "import sys; from PIL import Image; Image.new('RGB', (700, 400)).save(sys.argv[1]);"
        "sys.argv[1:] = ['frames', sys.argv[1], '-m', 'next-video-7b']; from llava_cli.cli.app import _run;"
        "code = _run(); print(code, sorted({'torch', 'transformers'} & set(sys.modules)))"
    )
    path = tmp_path / "still.png"
    done = subprocess.run([sys.executable, "-c", program, path], capture_output=True, text=True, check=True)
    first, last = done.stdout.splitlines()
    assert "700x400 png" in first
    assert last == "0 []"
