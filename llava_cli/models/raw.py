# SPDX-License-Identifier: Apache-2.0
"""Prompts that the user writes as a whole, as the documents print them: no chat template has a part in them."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

from llava_cli.errors import UsageError
from llava_cli.models.messages import Conversation, Modality, count_marks, modality_of, placed
from llava_cli.models.prompt import (
    NO_MARKS,
    Marks,
    Placeholder,
    Shown,
    SlotsOf,
    Span,
    Text,
    spans_of,
    with_usual_marks,
)

# As the published templates begin: ChatML, Mistral's, Vicuna's with and without its system prompt.
_RENDERED = re.compile(
    r"\s*(<s>\s*)?(<\|im_start\|>|\[INST\]|(A chat between .*?)?USER:.*ASSISTANT:)", re.DOTALL | re.ASCII
)


class MarkMismatch(UsageError):
    """A raw prompt's marks are not those of the media."""


def looks_rendered(question: str) -> bool:
    """Whether a question begins as a prompt does to which a chat template has been applied already."""
    return _RENDERED.match(question) is not None


def raw_spans(ask: Conversation, slots_of: SlotsOf, marks: Marks = NO_MARKS) -> list[Span]:
    """The spans of a raw prompt; all of its text may hold control tokens, as a template's may.

    It has a `<video>` or `<image>` mark for each medium, or, where a video is a row of images, one for each of those,
    and the text among them is the user's too. Marks of a kind stand for the media in their order.

    Raises:
        MarkMismatch: it has other marks.
    """
    written = "".join(part for turn in ask.turns for part in turn.parts if isinstance(part, str))
    prompt = with_usual_marks(written, marks)
    slots = [_spans(slots_of(medium)) for medium in ask.media]
    whole = [(modality_of(medium), some) for medium, some in zip(ask.media, slots, strict=True)]
    single: list[tuple[Modality, list[Span]]] = [
        (one.modality, [one]) for some in slots for one in some if isinstance(one, Placeholder)
    ]
    pieces = placed(prompt, whole) or placed(prompt, single)
    if pieces is None:
        raise MarkMismatch(_told(prompt, whole, single))
    spans: list[Span] = []
    for piece in pieces:
        spans += [Text(piece, by_user=False)] if isinstance(piece, str) else piece
    return spans


def _spans(slots: Sequence[Shown]) -> list[Span]:
    return [span for slot in slots for span in spans_of(slot)]


_Wanted = Sequence[tuple[Modality, Sequence[Span]]]


def _told(prompt: str, whole: _Wanted, single: _Wanted) -> str:
    ways = dict.fromkeys(_listed(Counter(modality for modality, _ in wanted)) for wanted in (whole, single))
    return (
        f"a raw prompt places all media: it must have {', or '.join(ways)}, but has {_listed(count_marks(prompt))}; "
        "without --raw, the chat template places them"
    )


def _listed(marks: Counter[Modality]) -> str:
    """Numbers of marks, in words."""
    return " and ".join(f"{marks[kind]} <{kind}>" for kind in ("video", "image") if marks[kind]) or "no mark"
