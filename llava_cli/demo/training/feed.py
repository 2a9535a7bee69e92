# SPDX-License-Identifier: Apache-2.0
"""What both training stages share: batches from a second process, and the way progress is told."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from typing import Any

import torch

Report = Callable[[str, int, int, str], None]
"""Called after every step with the stage, the step (from 1), the number of steps and a short figure."""


def feed(batches: torch.utils.data.Dataset[Any]) -> Iterable[Any]:
    """Yield batch 0, 1, 2 … drawn by one other process, so that one core draws while the other learns."""
    return torch.utils.data.DataLoader(
        batches, batch_size=None, shuffle=False, num_workers=1, prefetch_factor=4, worker_init_fn=_be_single
    )


def _be_single(_: int) -> None:
    """Keep the drawing process to one thread."""
    import cv2

    os.environ["OMP_WAIT_POLICY"] = "passive"
    torch.set_num_threads(1)
    cv2.setNumThreads(0)
