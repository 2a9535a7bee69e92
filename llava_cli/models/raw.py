# SPDX-License-Identifier: Apache-2.0
"""Prompts that the user writes as a whole, as the documents print them: no chat template has a part in them."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

from llava_cli.errors import UsageError
from llava_cli.models.messages import Conversation, Modality, count_marks, modality_of, placed
from llava_cli.models.prompt import Placeholder, PlaceholdersOf, Span, Text

# As the published templates begin: ChatML, Mistral's, Vicuna's with and without its system prompt.
_RENDERED = re.compile(
    r"\s*(<s>\s*)?(<\|im_start\|>|\[INST\]|(A chat between .*?)?USER:.*ASSISTANT:)", re.DOTALL | re.ASCII
)


class MarkMismatch(UsageError):
    """A raw prompt's marks are not those of the media."""


def looks_rendered(question: str) -> bool:
    """Whether a question begins as a prompt does to which a chat template has been applied already."""
    return _RENDERED.match(question) is not None


def raw_spans(ask: Conversation, placeholders_of: PlaceholdersOf) -> list[Span]:
    """The spans of a raw prompt; all of its text may hold control tokens, as a template's may.

    It has a `<video>` or `<image>` mark for each medium, or, where a video is a row of images, one for each of those.
    Marks of a kind stand for the media in their order.

    Raises:
        MarkMismatch: it has other marks.
    """
    prompt = "".join(part for turn in ask.turns for part in turn.parts if isinstance(part, str))
    slots = [list(placeholders_of(medium)) for medium in ask.media]
    whole = [(modality_of(medium), some) for medium, some in zip(ask.media, slots, strict=True)]
    single = [(slot.modality, [slot]) for some in slots for slot in some]
    pieces = placed(prompt, whole) or placed(prompt, single)
    if pieces is None:
        raise MarkMismatch(_told(prompt, whole, single))
    spans: list[Span] = []
    for piece in pieces:
        spans += [Text(piece, by_user=False)] if isinstance(piece, str) else piece
    return spans


_Wanted = Sequence[tuple[Modality, Sequence[Placeholder]]]


def _told(prompt: str, whole: _Wanted, single: _Wanted) -> str:
    ways = dict.fromkeys(_listed(Counter(modality for modality, _ in wanted)) for wanted in (whole, single))
    return (
        f"a raw prompt places all media: it must have {', or '.join(ways)}, but has {_listed(count_marks(prompt))}; "
        "without --raw, the chat template places them"
    )


def _listed(marks: Counter[Modality]) -> str:
    """Numbers of marks, in words."""
    return " and ".join(f"{marks[kind]} <{kind}>" for kind in ("video", "image") if marks[kind]) or "no mark"
