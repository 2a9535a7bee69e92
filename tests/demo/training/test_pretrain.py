# SPDX-License-Identifier: Apache-2.0
"""Stage A: single pictures, and what is known of each of their cells."""

from llava_cli.demo.training.pixels import GRID
from llava_cli.demo.training.pretrain import Pictures


def test_pictures_know_what_their_cells_show() -> None:
    batch = Pictures(0, 100)[90]
    for cells, grid in ((batch.patches, GRID), (batch.pooled, GRID // 2)):
        assert cells.kind.shape == (6, grid * grid)
        touched = cells.kind > 0
        assert touched.any()
        assert (cells.place[~touched] == 0).all()
    covered = batch.mask.mean(dim=-1) > 0.5
    assert (batch.patches.kind[covered] > 0).float().mean() > 0.9
