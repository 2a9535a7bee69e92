# SPDX-License-Identifier: Apache-2.0
"""AnyRes: a still is padded onto the canvas that fits it best and cut into tiles; features of padding are dropped."""

from __future__ import annotations

from collections.abc import Sequence


def shown_patches(
    picture: tuple[int, int], canvases: Sequence[Sequence[int]], tile: int, patches: int
) -> tuple[int, int]:
    """Rows and columns of patches that show the picture, of the canvas that it is padded to.

    Rounds as the models do when they cut the padding off their features.

    Args:
        picture: (height, width) in pixels.
        canvases: the (height, width) to choose from.
        tile: a tile's edge in pixels.
        patches: how many patches lie along it.
    """
    height, width = picture
    canvas = best_canvas(picture, canvases)
    rows, columns = (edge // tile * patches for edge in canvas)
    if width / height > columns / rows:
        shown = int(round(height * (columns / width), 7))
        return rows - (rows - shown) // 2 * 2, columns
    shown = int(round(width * (rows / height), 7))
    return rows, columns - (columns - shown) // 2 * 2


def pictures(picture: tuple[int, int], canvases: Sequence[Sequence[int]], tile: int) -> int:
    """How many pictures a still becomes: the whole of it, and the tiles of the canvas."""
    height, width = best_canvas(picture, canvases)
    return 1 + (height // tile) * (width // tile)


def best_canvas(picture: tuple[int, int], canvases: Sequence[Sequence[int]]) -> Sequence[int]:
    """The canvas (height, width) that keeps most of the picture's pixels; of several the smallest, of those the first.

    As transformers' `select_best_resolution`, which takes seconds to import: `llava frames` does without torch.
    """
    height, width = picture

    def merit(canvas: Sequence[int]) -> tuple[int, int]:
        scale = min(canvas[1] / width, canvas[0] / height)
        kept = min(int(width * scale) * int(height * scale), width * height)
        return kept, -canvas[0] * canvas[1]

    return max(canvases, key=merit)


def limited_patches(rows: int, columns: int, patches: int, most_tiles: int) -> tuple[int, int]:
    """Rows and columns after features are shrunk to about as many as `most_tiles` tiles have (`anyres_max_9`)."""
    ratio = (rows * columns / (most_tiles * patches**2)) ** 0.5
    return (int(rows // ratio), int(columns // ratio)) if ratio > 1.1 else (rows, columns)
