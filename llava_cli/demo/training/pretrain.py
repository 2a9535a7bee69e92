# SPDX-License-Identifier: Apache-2.0
"""Stage A: teach the vision tower, alone, what is where in single pictures. The linear heads are thrown away."""

from __future__ import annotations

from random import Random
from typing import Any, NamedTuple

import cv2
import numpy as np
import numpy.typing as npt
import torch
from torch import nn
from torch.nn import functional as fn
from transformers import LlavaNextVideoForConditionalGeneration

from llava_cli.demo.draw import Pixels, draw_shape, render
from llava_cli.demo.training.feed import Report, feed
from llava_cli.demo.training.model import VISION_WIDTH, Optimiser, fast_arithmetic
from llava_cli.demo.training.pixels import GRID, PATCH, Window, normalise, plan_anyres, still_tiles, video_view, wear
from llava_cli.demo.training.scenes import sample_scene
from llava_cli.demo.world import COLOURS, KINDS, Background, ClipSpec, dice, sample_clip

BATCH = 64
FINE = PATCH // 2
"""Cells per patch and side of the mask target."""
SCENE = len(COLOURS)
"""Class of a ground that is no plain colour."""
STILL_SIZES = ((96, 128), (120, 160), (128, 96), (90, 160))


class Cells(NamedTuple):
    """What the cells of one grid show, [batch, grid * grid, ...]; kind 0 is no shape."""

    kind: torch.Tensor
    colour: torch.Tensor
    place: torch.Tensor
    """x, y and radius of the shape, fractions of the view."""


class Batch(NamedTuple):
    """Pictures and all that is known about them."""

    pixels: torch.Tensor
    patches: Cells
    pooled: Cells
    ground: torch.Tensor
    mask: torch.Tensor
    """How much of each of FINE x FINE cells of a patch a shape covers, [batch, patches, FINE * FINE]."""


class Pictures(torch.utils.data.Dataset[Batch]):
    """Batches of single pictures; each a function of the seed and its number alone."""

    def __init__(self, seed: int, steps: int) -> None:
        self.seed, self.steps, self.size = seed, steps, BATCH

    def __len__(self) -> int:
        return self.steps

    def __getitem__(self, step: int) -> Batch:
        """Draw the batch of one step; single large shapes come first."""
        rng = dice(self.seed, "pretrain", step)
        easy = max(0.1, 1 - 2 * step / self.steps)
        pictures: list[tuple[ClipSpec, float, Window, Pixels, Pixels]] = []
        while len(pictures) < self.size:
            if rng.random() < 0.07:
                spec = sample_scene(rng)
                pictures += [_picture(spec, rng) for _ in range(3)]
            else:
                pictures.append(_picture(_sample_easy(rng) if rng.random() < easy else _sample_any(rng), rng))
        return _collate(pictures[: self.size])


def _sample_easy(rng: Random) -> ClipSpec:
    while True:
        spec = sample_clip(rng, count=1, still=True)
        if spec.shapes[0].radii[0] > 0.13:
            return spec


def _sample_any(rng: Random) -> ClipSpec:
    return sample_clip(rng, count=rng.choices((0, 1, 2, 3), (3, 50, 32, 15))[0])


def _picture(spec: ClipSpec, rng: Random) -> tuple[ClipSpec, float, Window, Pixels, Pixels]:
    """Render one moment, as a video frame or as a tile of a still, with the mask of its shapes."""
    time, rough = rng.random(), rng.random() < 0.5
    if rng.random() < 0.75:
        side = rng.choice((96, 120, 144))
        frames = wear(render(spec, [time], side, side), rng)
        return spec, time, Window(), video_view(frames, rough)[0], video_view(_mask(spec, time, side, side))[0]
    height, width = rng.choice(STILL_SIZES)
    windows = plan_anyres(height, width).windows()
    tile = rng.randrange(len(windows))
    tiles = still_tiles(wear(render(spec, [time], width, height), rng)[0], rough)
    covered = still_tiles(_mask(spec, time, width, height)[0])
    # A window is stated for the picture; shapes are placed in its central square.
    x_part, y_part = min(width, height) / width, min(width, height) / height
    x_scale, x_shift, y_scale, y_shift = windows[tile]
    window = Window(
        x_scale * x_part, x_shift + x_scale * (1 - x_part) / 2, y_scale * y_part, y_shift + y_scale * (1 - y_part) / 2
    )
    return spec, time, window, tiles[tile], covered[tile]


def _mask(spec: ClipSpec, time: float, width: int, height: int) -> Pixels:
    """Return the shapes in white on black, uint8 [1, height, width, 3]."""
    mask = np.zeros((1, height, width, 3), np.uint8)
    for shape in spec.shapes:
        draw_shape(mask[0], shape, shape.at(time), (255, 255, 255))
    return mask


def _cells(spec: ClipSpec, time: float, window: Window, grid: int) -> tuple[npt.NDArray[Any], ...]:
    """Return kind, colour and place of the nearest shape for every cell that one touches."""
    kind, colour = np.zeros(grid * grid, np.int64), np.zeros(grid * grid, np.int64)
    place, nearest = np.zeros((grid * grid, 3), np.float32), np.full(grid * grid, np.inf)
    centres = (np.arange(grid) + 0.5) / grid
    x, y = (axis.ravel() for axis in np.meshgrid(centres, centres))
    for shape in spec.shapes:
        state = shape.at(time)
        if not state.visible:
            continue
        middle = state.x * window.x_scale + window.x_shift, state.y * window.y_scale + window.y_shift
        reach = 0.85 * state.radius * np.array([window.x_scale, window.y_scale])
        distance = np.maximum(abs(x - middle[0]) - reach[0], abs(y - middle[1]) - reach[1])
        touched = (distance < 0.5 / grid) & (distance < nearest)
        nearest[touched] = distance[touched]
        kind[touched], colour[touched] = KINDS.index(shape.kind) + 1, COLOURS.index(shape.colour)
        place[touched] = (*middle, state.radius * np.sqrt(window.x_scale * window.y_scale))
    return kind, colour, place


def _collate(pictures: list[tuple[ClipSpec, float, Window, Pixels, Pixels]]) -> Batch:
    def cells(grid: int) -> Cells:
        columns = zip(*(_cells(spec, time, window, grid) for spec, time, window, _, _ in pictures), strict=True)
        return Cells(*(torch.from_numpy(np.stack(column)) for column in columns))

    grounds = [
        COLOURS.index(spec.ground.colour) if isinstance(spec.ground, Background) else SCENE for spec, *_ in pictures
    ]
    fine = GRID * FINE
    masks = np.stack([cv2.resize(mask[..., 0], (fine, fine), interpolation=cv2.INTER_AREA) for *_, mask in pictures])
    masks = masks.reshape(-1, GRID, FINE, GRID, FINE).transpose(0, 1, 3, 2, 4).reshape(len(pictures), GRID**2, FINE**2)
    pixels = normalise(np.stack([view for _, _, _, view, _ in pictures]))
    ground = torch.tensor(grounds)
    return Batch(
        torch.from_numpy(pixels),
        cells(GRID),
        cells(GRID // 2),
        ground,
        torch.from_numpy(masks.astype(np.float32) / 255),
    )


class CellHead(nn.Module):
    """Read kind, colour, place and ground off every cell."""

    def __init__(self) -> None:
        super().__init__()
        self.sizes = (1, len(KINDS), len(COLOURS), 3, len(COLOURS) + 1)
        self.read = nn.Linear(VISION_WIDTH, sum(self.sizes))

    def forward(self, features: torch.Tensor, cells: Cells, ground: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the loss, and the share of touched cells whose kind is right."""
        with fast_arithmetic():
            read = self.read(features)
        empty, kind, colour, place, behind = read.float().split(self.sizes, dim=-1)
        # The kind is asked of touched cells only: an average over all cells drowns it.
        touched = cells.kind > 0
        truth = cells.kind[touched] - 1
        loss = (
            2 * fn.cross_entropy(kind[touched], truth)
            + 2 * fn.binary_cross_entropy_with_logits(empty[..., 0], (~touched).float())
            + 0.7 * fn.cross_entropy(colour[touched], cells.colour[touched])
            + 8 * fn.smooth_l1_loss(place[touched], cells.place[touched], beta=0.05)
            + 0.3 * fn.cross_entropy(behind.mean(1), ground)
        )
        return loss, (kind[touched].argmax(-1) == truth).float().mean()


def pretrain(model: LlavaNextVideoForConditionalGeneration, seed: int, steps: int, report: Report) -> None:
    """Train the vision tower."""
    tower = model.model.vision_tower
    heads = nn.ModuleDict({"patches": CellHead(), "pooled": CellHead(), "mask": nn.Linear(VISION_WIDTH, FINE**2)})
    optimiser = Optimiser([*tower.named_parameters(), *heads.named_parameters()], steps)
    right = 0.0
    for step, batch in enumerate(feed(Pictures(seed, steps))):
        with fast_arithmetic():
            states = tower(batch.pixels, output_hidden_states=True).hidden_states
            patches = states[-1][:, 1:]
            pooled = model.model.vision_resampler(patches)
            covered = heads["mask"](states[2][:, 1:])
        loss, share = heads["patches"](patches, batch.patches, batch.ground)
        pooled_loss, _ = heads["pooled"](pooled, batch.pooled, batch.ground)
        mask_loss = fn.binary_cross_entropy_with_logits(covered.float(), batch.mask)
        optimiser.step(loss + pooled_loss + 6 * mask_loss)
        right += (float(share) - right) / min(step + 1, 50)
        report("see", step + 1, steps, f"shape kinds right {right:.1%}")
