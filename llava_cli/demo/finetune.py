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
from llava_cli.demo.feed import Report, feed
from llava_cli.demo.follow import LAYER, MotionHead, Moves, find_moves
from llava_cli.demo.language import Question, ask
from llava_cli.demo.model import Optimiser, fast_arithmetic
from llava_cli.demo.pixels import (
    FRAME_TOKENS,
    FRAMES,
    normalise,
    sample_times,
    still_tiles,
    still_tokens,
    video_view,
    wear,
)
from llava_cli.demo.scenes import sample_scene
from llava_cli.demo.tokenizer import IMAGE, PAD, PREFIX, VIDEO, answer_form, follow_up_form, question_form
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

    def __init__(self, tokenizer: PreTrainedTokenizerFast, seed: int, steps: int) -> None:
        self.tokenizer, self.seed, self.steps = tokenizer, seed, steps

    def __len__(self) -> int:
        return self.steps

    def __getitem__(self, step: int) -> Batch:
        """Draw the batch of one step."""
        rng = dice(self.seed, "finetune", step)
        still = step % STILL_EVERY == STILL_EVERY - 1
        return self._stills(rng) if still else self._videos(rng)

    def _videos(self, rng: Random) -> Batch:
        specs = [_sample_spec(rng, still=False) for _ in range(BATCH)]
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
        for _ in range(BATCH):
            spec = _sample_spec(rng, still=True)
            views.append(_sample_still_view(spec, rng, height, width))
            rows.append(self._row(spec, rng, still=True, visual=still_tokens(height, width)))
        inputs, labels = _pack(rows)
        inputs["pixel_values"] = torch.from_numpy(normalise(np.stack(views)))
        inputs["image_sizes"] = torch.tensor([[height, width]] * BATCH)
        return Batch(inputs, labels, None)

    def _row(self, spec: ClipSpec, rng: Random, still: bool, visual: int) -> list[Segment]:
        """Return the prefix with its visual tokens, then conversations of one question or more."""
        prefix = self.tokenizer(PREFIX).input_ids + [IMAGE if still else VIDEO] * visual
        segments = [(prefix, [IGNORED] * len(prefix))]
        for number, (_, question, answer) in enumerate(_choose(ask(spec, rng, still), rng)):
            follows = number > 0 and rng.random() < FOLLOW_UPS
            form = follow_up_form if follows else question_form
            asked = self.tokenizer(form(question), add_special_tokens=False).input_ids
            answered = self.tokenizer(answer_form(answer), add_special_tokens=False).input_ids
            ids, labels = segments.pop() if follows else ([], [])
            segments.append((ids + asked + answered, labels + [IGNORED] * len(asked) + answered))
        return segments


def _sample_spec(rng: Random, still: bool) -> ClipSpec:
    return sample_scene(rng) if rng.random() < SCENE_SHARE else sample_clip(rng, still=still)


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
    model.model.vision_tower.requires_grad_(False)
    learning = [(name, parameter) for name, parameter in model.named_parameters() if parameter.requires_grad]
    optimiser = Optimiser([*learning, *head.named_parameters()], steps, warmup=60)
    mean = 0.0
    for step, batch in enumerate(feed(Clips(tokenizer, seed, steps))):
        with fast_arithmetic():
            output = model.model(**batch.inputs, use_cache=False, output_hidden_states=True)
            truth = batch.labels[:, 1:]
            answered = truth != IGNORED
            logits = model.lm_head(output.last_hidden_state[:, :-1][answered])
        loss = fn.cross_entropy(logits.float(), truth[answered])
        mean += (float(loss.detach()) - mean) / min(step + 1, 50)
        if batch.moves is not None:
            start = len(tokenizer(PREFIX).input_ids)
            visual = output.hidden_states[LAYER][:, start : start + FRAMES * FRAME_TOKENS]
            motion_loss, _ = head(visual, batch.moves)
            loss = loss + MOTION * motion_loss
        optimiser.step(loss)
        report("answer", step + 1, steps, f"answer loss {mean:.3f}")
