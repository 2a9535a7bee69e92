# SPDX-License-Identifier: Apache-2.0
"""Stage C: with the vision tower frozen, teach the language model to answer, several questions per clip at once.

One row of a batch is a prefix with the visual tokens, then every question with its answer. An attention mask lets each
question see the prefix and itself only, and its positions start over, so that it is computed exactly as if alone.
"""

from __future__ import annotations

from random import Random
from typing import NamedTuple

import numpy as np
import torch
from torch.nn import functional as fn
from transformers import LlavaNextVideoForConditionalGeneration, PreTrainedTokenizerFast

from llava_cli.demo.draw import Pixels, render
from llava_cli.demo.training.feed import Report, feed
from llava_cli.demo.training.follow import LAYER, MotionHead, Moves, find_moves
from llava_cli.demo.training.model import Optimiser, fast_arithmetic
from llava_cli.demo.training.pixels import (
    FRAME_TOKENS,
    FRAMES,
    normalise,
    sample_times,
    still_tiles,
    still_tokens,
    video_view,
    wear,
)
from llava_cli.demo.training.questions import Question, ask, which
from llava_cli.demo.training.scenes import sample_scene
from llava_cli.demo.training.tokenizer import IMAGE, PAD, PREFIX, VIDEO, answer_form, follow_up_form, question_form
from llava_cli.demo.world import ClipSpec, dice, sample_clip

BATCH = 24
QUESTIONS = 7
SCENE_SHARE = 0.16
MOTION = 0.2
"""Weight of the movements' loss beside that of the answers."""
STILL_EVERY = 7
"""Every how many batches one holds stills."""
STILL_SIZES = ((240, 320), (240, 240), (320, 240), (240, 400), (192, 256), (270, 480))
WEIGHTS = {"describe": 1.4, "motion": 2.0, "end": 1.2, "count": 0.7}
"""How much likelier a topic is drawn than the others."""
FOLLOW_UPS = 0.2
"""Share of questions that follow another one in the same conversation."""
POLISH_COUNTS = (40, 40, 20)
"""Shares of clips with one, two and three shapes when polishing."""
POLISH_RATE = 0.3
"""Learning rates of polishing, as a share of those before."""
IGNORED = -100

Segment = tuple[list[int], list[int]]
"""Token ids, and their labels."""


class Batch(NamedTuple):
    """Packed rows, ready for the model."""

    inputs: dict[str, torch.Tensor]
    labels: torch.Tensor
    moves: Moves | None


class Clips(torch.utils.data.Dataset[Batch]):
    """Batches of clips and stills with questions; each a function of the seed and its number alone."""

    def __init__(self, tokenizer: PreTrainedTokenizerFast, seed: int, steps: int, polish: bool = False) -> None:
        self.tokenizer, self.seed, self.steps, self.polish = tokenizer, seed, steps, polish
        self.size = BATCH

    def __len__(self) -> int:
        return self.steps

    def __getitem__(self, step: int) -> Batch:
        """Draw the batch of one step."""
        rng = dice(self.seed, "polish" if self.polish else "finetune", step)
        still = step % STILL_EVERY == STILL_EVERY - 1
        return self._stills(rng) if still else self._videos(rng)

    def _videos(self, rng: Random) -> Batch:
        specs = [self._sample_spec(rng, still=False) for _ in range(self.size)]
        times = [sample_times(rng) for _ in specs]
        views = []
        for spec, seen in zip(specs, times, strict=True):
            side = rng.choice((96, 120, 144, 144, 168))
            views.append(video_view(wear(render(spec, seen, side, side), rng), rough=rng.random() < 0.5))
        rows = [self._row(spec, rng, still=False, visual=FRAMES * FRAME_TOKENS) for spec in specs]
        inputs, labels = _pack(rows)
        inputs["pixel_values_videos"] = torch.from_numpy(normalise(np.stack(views)))
        return Batch(inputs, labels, find_moves(specs, times))

    def _stills(self, rng: Random) -> Batch:
        height, width = rng.choice(STILL_SIZES)
        rows, views = [], []
        for _ in range(self.size):
            spec = self._sample_spec(rng, still=True)
            views.append(_sample_still_view(spec, rng, height, width))
            rows.append(self._row(spec, rng, still=True, visual=still_tokens(height, width)))
        inputs, labels = _pack(rows)
        inputs["pixel_values"] = torch.from_numpy(normalise(np.stack(views)))
        inputs["image_sizes"] = torch.tensor([[height, width]] * self.size)
        return Batch(inputs, labels, None)

    def _sample_spec(self, rng: Random, still: bool) -> ClipSpec:
        if rng.random() < SCENE_SHARE:
            return sample_scene(rng)
        count = rng.choices((1, 2, 3), POLISH_COUNTS)[0] if self.polish else None
        return sample_clip(rng, count=count, still=still)

    def _row(self, spec: ClipSpec, rng: Random, still: bool, visual: int) -> list[Segment]:
        """Return the prefix with its visual tokens, then conversations of one question or more."""
        prefix = self.tokenizer(PREFIX).input_ids + [IMAGE if still else VIDEO] * visual
        segments = [(prefix, [IGNORED] * len(prefix))]
        questions = _choose(ask(spec, rng, still), rng)
        if self.polish:
            questions = which(spec, rng, still) + questions
        for number, (_, question, answer) in enumerate(questions):
            follows = number > 0 and rng.random() < FOLLOW_UPS
            form = follow_up_form if follows else question_form
            asked = self.tokenizer(form(question), add_special_tokens=False).input_ids
            answered = self.tokenizer(answer_form(answer), add_special_tokens=False).input_ids
            ids, labels = segments.pop() if follows else ([], [])
            segments.append((ids + asked + answered, labels + [IGNORED] * len(asked) + answered))
        return segments


def _sample_still_view(spec: ClipSpec, rng: Random, height: int, width: int) -> Pixels:
    """Render a still, often from a smaller or larger original than the size that sets the tiles."""
    factor = rng.choice((0.6, 0.6, 1.0))
    picture = render(spec, [rng.random()], round(width * factor), round(height * factor))
    return still_tiles(wear(picture, rng)[0], rough=rng.random() < 0.5)


def _choose(questions: list[Question], rng: Random) -> list[Question]:
    """Draw some of the questions, likelier topics first."""
    keyed = [(rng.random() ** (1 / WEIGHTS.get(question.topic, 1.0)), question) for question in questions]
    return [question for _, question in sorted(keyed, key=lambda pair: -pair[0])[:QUESTIONS]]


def _pack(rows: list[list[Segment]]) -> tuple[dict[str, torch.Tensor], torch.Tensor]:
    """Lay the segments of every row in one line, with positions and an attention mask that keep them apart."""
    length = max(sum(len(ids) for ids, _ in row) for row in rows)
    ids = torch.full((len(rows), length), PAD)
    labels = torch.full((len(rows), length), IGNORED)
    segment = torch.full((len(rows), length), -1)
    position = torch.zeros((len(rows), length), dtype=torch.long)
    for index, row in enumerate(rows):
        start, prefix = 0, len(row[0][0])
        for number, (part, truth) in enumerate(row):
            end = start + len(part)
            ids[index, start:end], labels[index, start:end] = torch.tensor(part), torch.tensor(truth)
            segment[index, start:end] = number
            position[index, start:end] = torch.arange(len(part)) + (prefix if number else 0)
            start = end
    mine, theirs = segment[:, :, None], segment[:, None, :]
    mask = torch.ones(length, length, dtype=torch.bool).tril() & ((mine == theirs) | (theirs == 0))
    # Padding sees itself, since attention to nothing at all is undefined.
    mask = mask | torch.eye(length, dtype=torch.bool)
    return {"input_ids": ids, "attention_mask": mask[:, None], "position_ids": position}, labels


def finetune(
    model: LlavaNextVideoForConditionalGeneration,
    tokenizer: PreTrainedTokenizerFast,
    head: MotionHead,
    seed: int,
    steps: int,
    report: Report,
) -> None:
    """Train the projector and the language model, which must go on knowing what `head` reads."""
    optimiser = Optimiser([*_learning(model), *head.named_parameters()], steps, warmup=60)
    for step, batch in enumerate(feed(Clips(tokenizer, seed, steps))):
        loss, states = _answer_loss(model, batch)
        figure = f"answer loss {loss.detach():.3f}"
        if batch.moves is not None:
            start = len(tokenizer(PREFIX).input_ids)
            motion_loss, _ = head(states[LAYER][:, start : start + FRAMES * FRAME_TOKENS], batch.moves)
            loss = loss + MOTION * motion_loss
        optimiser.step(loss)
        report("answer", step + 1, steps, figure)


def polish(
    model: LlavaNextVideoForConditionalGeneration,
    tokenizer: PreTrainedTokenizerFast,
    seed: int,
    steps: int,
    report: Report,
) -> None:
    """Train on with clips of several shapes, asking of each which one has its colour: that binds last of all."""
    optimiser = Optimiser(_learning(model), steps, warmup=30, scale=POLISH_RATE)
    for step, batch in enumerate(feed(Clips(tokenizer, seed, steps, polish=True))):
        loss, _ = _answer_loss(model, batch)
        optimiser.step(loss)
        report("polish", step + 1, steps, f"answer loss {loss.detach():.3f}")


def _learning(model: LlavaNextVideoForConditionalGeneration) -> list[tuple[str, torch.nn.Parameter]]:
    """Freeze the vision tower; return everything else."""
    model.model.vision_tower.requires_grad_(False)
    return [(name, parameter) for name, parameter in model.named_parameters() if parameter.requires_grad]


def _answer_loss(
    model: LlavaNextVideoForConditionalGeneration, batch: Batch
) -> tuple[torch.Tensor, tuple[torch.Tensor, ...]]:
    """Return the loss over the tokens of the answers, and the language model's hidden states."""
    with fast_arithmetic():
        output = model.model(**batch.inputs, use_cache=False, output_hidden_states=True)
        truth = batch.labels[:, 1:]
        answered = truth != IGNORED
        logits = model.lm_head(output.last_hidden_state[:, :-1][answered])
    return fn.cross_entropy(logits.float(), truth[answered]), output.hidden_states
