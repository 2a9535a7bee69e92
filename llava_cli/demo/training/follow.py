# SPDX-License-Identifier: Apache-2.0
"""Stage B: with the vision tower frozen, teach the lower half of the language model how shapes move.

Every visual token that a shape touches must know what that shape has done since the frame before. Learning this from
answers alone takes far longer: few of their words depend on it.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import nn
from torch.nn import functional as fn
from transformers import LlavaNextVideoForConditionalGeneration, PreTrainedTokenizerFast

from llava_cli.demo.draw import render
from llava_cli.demo.training.feed import Report, feed
from llava_cli.demo.training.model import TEXT_WIDTH, Optimiser, fast_arithmetic
from llava_cli.demo.training.pixels import FRAME_TOKENS, FRAMES, GRID, normalise, sample_times, video_view, wear
from llava_cli.demo.training.tokenizer import PREFIX, VIDEO
from llava_cli.demo.world import ACTIONS, ClipSpec, dice, sample_clip

BATCH = 32
LAYER = 2
"""How many text layers may be used to find out; the later ones can then read it."""
UNKNOWN = -100


class Moves(NamedTuple):
    """How the shape on each visual token moves, [batch, frames * tokens, ...]; action UNKNOWN where there is none."""

    step: torch.Tensor
    """Change of x, y and radius since the frame before, scaled to the order of 1."""
    action: torch.Tensor
    """Index in `ACTIONS` of what it is doing."""


class Batch(NamedTuple):
    """Frames, float32 [batch, frames, 3, height, width], and what moves in them."""

    pixels: torch.Tensor
    moves: Moves


def find_moves(specs: list[ClipSpec], times: list[list[float]]) -> Moves:
    """Return how everything moves in some clips, each seen at its own times."""
    steps, actions = zip(*(_moves(spec, seen) for spec, seen in zip(specs, times, strict=True)), strict=True)
    return Moves(torch.from_numpy(np.stack(steps)), torch.from_numpy(np.stack(actions)))


def _moves(spec: ClipSpec, times: list[float]) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    grid = GRID // 2
    steps = np.zeros((FRAMES, grid * grid, 3), np.float32)
    actions = np.full((FRAMES, grid * grid), UNKNOWN, np.int64)
    centres = (np.arange(grid) + 0.5) / grid
    x, y = (axis.ravel() for axis in np.meshgrid(centres, centres))
    for shape in spec.shapes:
        states = [shape.at(time) for time in times]
        for frame in range(1, FRAMES):
            before, now = states[frame - 1], states[frame]
            action = shape.action_at(times[frame])
            # A shape that will vanish rests until then: its frames do not tell.
            if not now.visible or action == "disappear":
                continue
            touched = np.maximum(abs(x - now.x), abs(y - now.y)) - 0.85 * now.radius < 0.5 / grid
            steps[frame, touched] = 8 * (now.x - before.x), 8 * (now.y - before.y), 32 * (now.radius - before.radius)
            actions[frame, touched] = ACTIONS.index(action)
    return steps.reshape(-1, 3), actions.reshape(-1)


class MotionHead(nn.Module):
    """Read the movement off the visual tokens of one text layer; thrown away after training."""

    def __init__(self) -> None:
        super().__init__()
        self.read = nn.Linear(TEXT_WIDTH, 3 + len(ACTIONS))

    def forward(self, states: torch.Tensor, moves: Moves) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the loss, and the share of tokens whose action is right."""
        known = moves.action != UNKNOWN
        step, action = self.read(states.float()[known]).split((3, len(ACTIONS)), dim=-1)
        truth = moves.action[known]
        loss = 4 * fn.smooth_l1_loss(step, moves.step[known], beta=0.1) + 0.5 * fn.cross_entropy(action, truth)
        return loss, (action.argmax(-1) == truth).float().mean()


class Clips(torch.utils.data.Dataset[Batch]):
    """Batches of clips with something in them; each a function of the seed and its number alone."""

    def __init__(self, seed: int, steps: int) -> None:
        self.seed, self.steps, self.size = seed, steps, BATCH

    def __len__(self) -> int:
        return self.steps

    def __getitem__(self, step: int) -> Batch:
        """Draw the batch of one step."""
        rng = dice(self.seed, "follow", step)
        specs = [sample_clip(rng, count=rng.choice((1, 1, 1, 2))) for _ in range(self.size)]
        times = [sample_times(rng) for _ in specs]
        views = [
            video_view(wear(render(spec, seen, 96, 96), rng), rough=rng.random() < 0.5)
            for spec, seen in zip(specs, times, strict=True)
        ]
        return Batch(torch.from_numpy(normalise(np.stack(views))), find_moves(specs, times))


def follow(
    model: LlavaNextVideoForConditionalGeneration,
    tokenizer: PreTrainedTokenizerFast,
    seed: int,
    steps: int,
    report: Report,
) -> MotionHead:
    """Train the projector and the lower text layers; return the head, for the next stage to go on with."""
    model.model.vision_tower.requires_grad_(False)
    head = MotionHead()
    lower = model.model.language_model.layers[:LAYER]
    named = [(f"layers.{name}", parameter) for name, parameter in lower.named_parameters()]
    projector = [
        (f"multi_modal.{name}", weight) for name, weight in model.model.multi_modal_projector.named_parameters()
    ]
    optimiser = Optimiser([*named, *projector, *head.named_parameters()], steps)
    prefix = tokenizer(PREFIX).input_ids
    ids = torch.tensor([prefix + [VIDEO] * (FRAMES * FRAME_TOKENS)] * BATCH)
    right = 0.0
    for step, batch in enumerate(feed(Clips(seed, steps))):
        with fast_arithmetic():
            output = model.model(
                input_ids=ids, pixel_values_videos=batch.pixels, use_cache=False, output_hidden_states=True
            )
        loss, share = head(output.hidden_states[LAYER][:, len(prefix) :], batch.moves)
        optimiser.step(loss)
        right += (float(share) - right) / min(step + 1, 50)
        report("follow", step + 1, steps, f"movements right {right:.1%}")
    return head
