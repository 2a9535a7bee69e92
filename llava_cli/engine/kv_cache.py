# SPDX-License-Identifier: Apache-2.0
"""Prefixes: what several prompts begin with is run through the model once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from llava_cli.media.clip import Media
from llava_cli.models.prompt import Prompt

if TYPE_CHECKING:
    from transformers import Cache


@dataclass(frozen=True)
class Prefix:
    """Tokens whose keys and values are already known."""

    prompt: Prompt
    answer: list[int]
    """The ids that were generated after the prompt."""
    cache: Cache
    """Keys and values of the prompt and the answer, for one prompt; cut when it is used again."""

    def cut_to(self, prompt: Prompt) -> Cache | None:
        """Keys and values of what another prompt begins with too; None if that is nothing. Uses this prefix up."""
        if not starts_with(prompt.media, self.prompt.media):
            return None
        # At least one token must be left, for the model to say what comes after it.
        length = min(common_length([[*self.prompt.ids, *self.answer], prompt.ids]), len(prompt.ids) - 1)
        surplus = self.cache.get_seq_length() - length
        if surplus > 0:
            self.cache.crop(-surplus)
        return self.cache if self.cache.get_seq_length() else None


def shared_length(prompts: Sequence[Prompt]) -> int:
    """How many tokens the prompts share, if that is worth a run of its own: all media, and no medium after them."""
    first = prompts[0]
    if len(prompts) < 2 or not first.media or any(not same(p.media, first.media) for p in prompts):
        return 0
    length = min(common_length([p.ids for p in prompts]), min(len(p.ids) for p in prompts) - 1)
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
