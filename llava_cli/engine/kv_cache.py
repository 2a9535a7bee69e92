# SPDX-License-Identifier: Apache-2.0
"""Keys and values: what several prompts begin with is run through the model once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from llava_cli.media.clip import Media
from llava_cli.models.prompt import Prompt

if TYPE_CHECKING:
    import torch
    from transformers import Cache


@dataclass
class KVCache:
    """What the turns of one conversation leave for the next. Empty at first; an engine fills it."""

    media: tuple[Media, ...] = ()
    ids: list[int] = field(default_factory=list)
    """Of the last prompt and its answer, as `Prompt.text_ids`."""
    states: Cache | None = None
    """Keys and values of these ids, or of all but the last."""
    features: dict[int, tuple[Media, torch.Tensor]] = field(default_factory=dict)
    """Of the last prompt's media, by identity."""

    def take(self, prompt: Prompt) -> Cache | None:
        """Keys and values of what a prompt begins with too; None if that is nothing. Uses them up."""
        states, self.states = self.states, None
        if states is None or not starts_with(prompt.media, self.media):
            return None
        # At least one token must be left, for the model to say what comes after it.
        length = min(common_length([self.ids, prompt.text_ids]), len(prompt.ids) - 1)
        surplus = states.get_seq_length() - length
        if surplus > 0:
            states.crop(-surplus)
        return states if states.get_seq_length() else None

    def keep(self, prompt: Prompt, answer: Sequence[int], states: Cache) -> None:
        """Have these for the next turn."""
        self.media, self.ids, self.states = prompt.media, [*prompt.text_ids, *answer], states


def shared_length(prompts: Sequence[Prompt]) -> int:
    """How many tokens the prompts share, if that is worth a run of its own: all media, and no medium after them."""
    first = prompts[0]
    if len(prompts) < 2 or not first.media or any(not same(p.media, first.media) for p in prompts):
        return 0
    length = min(common_length([p.text_ids for p in prompts]), min(len(p.ids) for p in prompts) - 1)
    return length if length >= first.end_of_media else 0


def common_length(sequences: Sequence[Sequence[int]]) -> int:
    """Length of the longest common beginning."""
    for i, values in enumerate(zip(*sequences, strict=False)):
        if len(set(values)) > 1:
            return i
    return min(map(len, sequences))


def same(media: Sequence[Media], others: Sequence[Media]) -> bool:
    """Whether these are the same media, not only equal ones."""
    return len(media) == len(others) and all(a is b for a, b in zip(media, others, strict=True))


def starts_with(media: Sequence[Media], others: Sequence[Media]) -> bool:
    """Whether the first of the media are these others."""
    return same(media[: len(others)], others)
