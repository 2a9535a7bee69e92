# SPDX-License-Identifier: Apache-2.0
"""Does a conversation fit into what a checkpoint can read, and how many frames would."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from llava_cli.errors import UsageError
from llava_cli.media.clip import Clip, Media
from llava_cli.models.family import Family
from llava_cli.models.messages import Conversation, Part
from llava_cli.models.prompt import Prompt
from llava_cli.models.raw import MarkMismatch
from llava_cli.words import counted

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


class TooLong(UsageError):
    """A prompt and its answer are longer than the checkpoint's context."""

    code = "context"

    def __init__(self, tokens: int, context: int, frames: int) -> None:
        remedy = f"--frames {frames} would fit, or let --fit choose" if frames else "use fewer media or a shorter text"
        super().__init__(f"prompt and answer take {tokens} tokens, but its context is {context} tokens; {remedy}")
        self.frames = frames
        """The largest number of frames of each video that fits; 0 if not even one does."""


def fewer_frames(frames: int, reason: str = "to fit the checkpoint's context") -> str:
    """What is said, and stands in the record, where fewer frames are shown than was asked for."""
    return f"at most {counted(frames, 'frame')} of each video {'is' if frames == 1 else 'are'} shown, {reason}"


def fitting_prompt(
    family: Family, tokenizer: PreTrainedTokenizerBase, conversation: Conversation, new_tokens: int
) -> Prompt:
    """The prompt for a conversation, made sure that it and the answer fit into the checkpoint's context.

    Raises:
        TooLong: they do not.
        UsageError, ModelError: see `Family.prompt`.
    """

    def excess(prompt: Prompt) -> int:
        return len(prompt.ids) + new_tokens - family.context

    def fits_with(frames: int) -> bool:
        try:
            return excess(family.prompt(tokenizer, first_frames(conversation, frames))) <= 0
        except MarkMismatch:  # a raw prompt with a mark for each frame
            return False

    prompt = family.prompt(tokenizer, conversation)
    if excess(prompt) <= 0:
        return prompt
    fits, fits_not = 0, most_frames(conversation.media)
    while fits_not - fits > 1:
        middle = (fits + fits_not) // 2
        if fits_with(middle):
            fits = middle
        else:
            fits_not = middle
    raise TooLong(len(prompt.ids) + new_tokens, family.context, fits)


def most_frames(media: Sequence[Media]) -> int:
    """Frames of the longest clip; 1 where there is none."""
    return max((len(medium.frames) for medium in media if isinstance(medium, Clip)), default=1)


def first_frames(conversation: Conversation, frames: int) -> Conversation:
    """The same conversation about the beginnings of its clips: as long a prompt as any choice of so many frames."""

    def shortened(part: Part) -> Part:
        if not isinstance(part, Clip):
            return part
        return replace(part, frames=part.frames[:frames], indices=part.indices[:frames], times=part.times[:frames])

    turns = tuple(replace(turn, parts=tuple(map(shortened, turn.parts))) for turn in conversation.turns)
    return replace(conversation, turns=turns)
