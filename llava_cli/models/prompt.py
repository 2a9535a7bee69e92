# SPDX-License-Identifier: Apache-2.0
"""From a conversation to token ids: the chat template, the placeholders, and nothing that the user could smuggle in.

The user's words never pass through the template. It is rendered with private marks in their place, so that what the
template wrote (control tokens, placeholders) and what the user wrote stay apart until they are tokenized.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from llava_cli.errors import ModelError
from llava_cli.media.clip import Media
from llava_cli.models.messages import Modality, Turn
from llava_cli.models.rendering import parent as rendering
from llava_cli.models.tokenizer import failures_told

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

# Private-use characters: a template has no reason to write them, and the user's own never get near it.
_MARK = "\ue000{}\ue001"
_SPAN = re.compile("\ue000(\\d+)\ue001|<(video|image)>")

PLACEHOLDER_TEXT: dict[Modality, str] = {"video": "<video>", "image": "<image>"}
NO_MARKS: Mapping[Modality, str] = {}


@dataclass(frozen=True)
class Text:
    """Text of a prompt. Only what the template wrote may hold control tokens."""

    text: str
    by_user: bool


@dataclass(frozen=True)
class Placeholder:
    """One placeholder, which so many of a medium's features take the place of. A medium may have several, in order."""

    medium: Media
    modality: Modality
    tokens: int
    before: str = ""
    """Control tokens that stand before it, wherever it stands."""
    after: str = ""

    def __str__(self) -> str:
        return self.before + PLACEHOLDER_TEXT[self.modality] + self.after


Span = Text | Placeholder


@dataclass(frozen=True)
class Slot:
    """What is one `video` or `image` to a chat template, and several spans in the prompt: text among placeholders."""

    modality: Modality
    spans: tuple[Span, ...]


Shown = Placeholder | Slot
"""What a chat template is shown; a placeholder is a slot with nothing else in it."""
TemplateOf = Literal["checkpoint", "family", "user", "server", "none"]
"""Whose chat template wrote a prompt; `none` did, where the user wrote it as a whole."""
PlaceholdersOf = Callable[[Media], Sequence[Placeholder]]
SlotsOf = Callable[[Media], Sequence[Shown]]
Marks = Mapping[Modality, str]
"""Patterns of what stands for `<video>` and `<image>` in templates and documents, where that is something else."""


@dataclass(frozen=True)
class Prompt:
    """A prompt, ready for a model."""

    ids: list[int]
    """Token ids; each placeholder is a run of its id, as long as its features."""
    media: tuple[Media, ...]
    """In the order of their placeholders."""
    visual_tokens: tuple[int, ...]
    """How many of the ids stand for each medium."""
    end_of_media: int
    """How many ids there are up to and with the last placeholder."""
    text: str
    """As it reads, with each placeholder once."""
    template: TemplateOf
    notes: tuple[str, ...] = ()
    """What the user should know of how it was made."""
    places: tuple[range, ...] = ()
    """Where among the ids features take their place, in order: the ids themselves may stand for something else too."""

    @property
    def text_ids(self) -> list[int]:
        """The ids, with -1 wherever features take their place."""
        ids = list(self.ids)
        for place in self.places:
            ids[place.start : place.stop] = [-1] * len(place)
        return ids


class TemplateMismatch(Exception):
    """A chat template did not render the media or the texts that it was given; the message says what it does."""


class TemplateTooCostly(TemplateMismatch):
    """A chat template takes more time or memory than any innocent one does."""


def render(
    tokenizer: PreTrainedTokenizerBase,
    template: str,
    turns: Sequence[Turn],
    slots_of: SlotsOf,
    marks: Marks = NO_MARKS,
) -> list[Span]:
    """The spans of a prompt, in order, ending where the assistant is to speak.

    A template may move media, as the published ones do: images first, then videos, then the text. It must show every
    text once, in their order, and every medium once, those of a kind in their order. Media that the user placed inside
    a sentence stay there.

    Raises:
        TemplateMismatch: the template fails, or drops, repeats or mixes up texts or media.
    """
    given: list[Text | Shown] = []
    messages = []
    for turn in turns:
        pieces = [piece for part in turn.parts for piece in _pieces_of(part, slots_of)]
        messages.append({"role": turn.role, "content": _content(pieces, len(given), turn.inline)})
        given += pieces
    rendered = with_usual_marks(_filled(tokenizer, template, messages), marks)
    return [span for piece in _cut(rendered, given) for span in spans_of(piece)]


def spans_of(piece: Text | Shown) -> tuple[Span, ...]:
    """What stands in the prompt for a text, a placeholder or a slot."""
    return piece.spans if isinstance(piece, Slot) else (piece,)


def with_usual_marks(text: str, marks: Marks) -> str:
    """A text in which `<video>` and `<image>` stand where a family's templates have marks of their own."""
    for modality, pattern in marks.items():
        text = re.sub(pattern, PLACEHOLDER_TEXT[modality], text)
    return text


def _filled(
    tokenizer: PreTrainedTokenizerBase, template: str, messages: Sequence[dict[str, Any]], answering: bool = True
) -> str:
    """What a template makes of messages.

    Raises:
        TemplateMismatch: it fails; told with the line.
        ModelError: there is no process that could render it.
    """
    variables = {**tokenizer.special_tokens_map, "messages": messages, "add_generation_prompt": answering}
    try:
        return rendering.render(template, variables | {"tools": None, "documents": None})
    except rendering.TooCostly as error:
        raise TemplateTooCostly(str(error)) from error
    except rendering.TemplateFailed as error:
        place = f" in line {error.line}" if error.line else ""
        raise TemplateMismatch(f"fails{place}: {error}") from error
    except rendering.NotStarted as error:
        raise ModelError(str(error)) from error


def turn_ends(tokenizer: PreTrainedTokenizerBase, template: str) -> frozenset[int]:
    """The id of the control token that a chat template writes after an assistant's turn; none where it writes none."""
    try:
        after = _around_answer(tokenizer, template)[1].lstrip()
    except TemplateMismatch:
        return frozenset()
    others = {tokenizer.bos_token, *PLACEHOLDER_TEXT.values()}
    control = {token: i for token, i in tokenizer.get_added_vocab().items() if token.strip() and token not in others}
    longest = max((token for token in control if after.startswith(token)), key=len, default=None)
    return frozenset() if longest is None else frozenset({control[longest]})


def answer_lead(tokenizer: PreTrainedTokenizerBase, template: str) -> str:
    """What a chat template writes between a prompt and the answer to it, such as a space; mostly nothing.

    Nothing too where it writes answers in another way than it has them begun.
    """
    try:
        begun = _filled(tokenizer, template, _messages(("user", "?")))
        before = _around_answer(tokenizer, template)[0]
    except TemplateMismatch:
        return ""
    return before.removeprefix(begun) if before.startswith(begun) else ""


def _around_answer(tokenizer: PreTrainedTokenizerBase, template: str) -> tuple[str, str]:
    """What a chat template writes before and after an assistant's words."""
    mark = _MARK.format(0)
    filled = _filled(tokenizer, template, _messages(("user", "?"), ("assistant", mark)), answering=False)
    before, _, after = filled.partition(mark)
    return before, after


def _messages(*said: tuple[str, str]) -> list[dict[str, Any]]:
    return [{"role": role, "content": [{"type": "text", "text": text}]} for role, text in said]


def _pieces_of(part: str | Media, slots_of: SlotsOf) -> Sequence[Text | Shown]:
    return [Text(part, by_user=True)] if isinstance(part, str) else slots_of(part)


def _content(pieces: Sequence[Text | Shown], first: int, inline: bool) -> list[dict[str, str]]:
    """A turn in the form that chat templates read; its pieces are numbered from `first` on."""
    marks = [_MARK.format(number) for number in range(first, first + len(pieces))]
    if inline:
        return [{"type": "text", "text": "".join(marks)}]
    return [
        {"type": "text", "text": mark} if isinstance(piece, Text) else {"type": piece.modality}
        for piece, mark in zip(pieces, marks, strict=True)
    ]


def _cut(rendered: str, given: Sequence[Text | Shown]) -> list[Text | Shown]:
    """Cut what the template rendered at the marks and placeholders, and put the given pieces there."""
    marked = {int(number) for number, _ in _SPAN.findall(rendered) if number}
    waiting = {
        text: iter([i for i in _of_kind(given, kind) if i not in marked]) for kind, text in PLACEHOLDER_TEXT.items()
    }
    shown: list[int] = []
    pieces: list[Text | Shown] = []
    end = 0
    for match in _SPAN.finditer(rendered):
        number, placeholder = match.groups()
        place = int(number) if number else next(waiting[match.group()], None)
        if place is None:
            raise TemplateMismatch(f"shows one {placeholder} too many")
        shown.append(place)
        pieces += [Text(rendered[end : match.start()], by_user=False), given[place]]
        end = match.end()
    for kind in ("text", *PLACEHOLDER_TEXT):
        wanted = _of_kind(given, kind)
        if [place for place in shown if place in wanted] != wanted:
            raise TemplateMismatch(f"does not show every {kind} once, in order")
    return [*pieces, Text(rendered[end:], by_user=False)]


def _of_kind(pieces: Sequence[Text | Shown], kind: str) -> list[int]:
    """The places of the texts, or of what is of one modality."""
    return [i for i, piece in enumerate(pieces) if ("text" if isinstance(piece, Text) else piece.modality) == kind]


def media_of(spans: Iterable[Span], placeholders_of: PlaceholdersOf) -> tuple[Media, ...]:
    """The media of a prompt in the order of their placeholders; one that is shown twice stands there twice."""
    placeholders = iter([span for span in spans if isinstance(span, Placeholder)])
    media: list[Media] = []
    for first in placeholders:
        media.append(first.medium)
        for _ in placeholders_of(first.medium)[1:]:
            next(placeholders)
    return tuple(media)


def encode(
    tokenizer: PreTrainedTokenizerBase, spans: Sequence[Span], placeholder_ids: dict[Modality, int]
) -> tuple[list[int], tuple[range, ...]]:
    """Token ids of a prompt, every placeholder as long as its features; and where among them each of these stands.

    The prompt is tokenized as one string, as the published recipes do: tokenizers join characters across spans. It
    is cut only around control tokens that the user typed, which are then tokenized as the plain characters they are.

    Args:
        placeholder_ids: the checkpoint's own id for `video` and `image`.

    Raises:
        ModelError: the tokenizer does not keep placeholders apart.
    """
    markers = {tokenizer.convert_tokens_to_ids(text): modality for modality, text in PLACEHOLDER_TEXT.items()}
    placeholders = [span for span in spans if isinstance(span, Placeholder)]
    places: list[range] = []
    ids: list[int] = []
    with failures_told("the checkpoint's tokenizer fails"):
        tokens = _tokenize(tokenizer, spans)
    for token in tokens:
        if token not in markers:
            ids.append(token)
            continue
        found = len(places)
        if found == len(placeholders) or placeholders[found].modality != markers[token]:
            raise ModelError("the tokenizer makes placeholders out of other text; do not trust this checkpoint")
        places.append(range(len(ids), len(ids) + placeholders[found].tokens))
        ids += [placeholder_ids[markers[token]]] * placeholders[found].tokens
    if len(places) != len(placeholders):
        raise ModelError(f"the prompt holds {len(places)} placeholders where {len(placeholders)} belong")
    return ids, tuple(places)


def _tokenize(tokenizer: PreTrainedTokenizerBase, spans: Sequence[Span]) -> list[int]:
    """Ids with one placeholder for each medium."""
    segments = _segments(spans, tokenizer.get_added_vocab())
    bos = tokenizer.bos_token
    ids: list[int] = []
    for number, (text, as_text) in enumerate(segments):
        if number == 0:
            # Some templates write the first token themselves; the tokenizer adds it for all others.
            add_bos = not (bos and text.startswith(bos))
            ids += tokenizer(text, add_special_tokens=add_bos, split_special_tokens=as_text).input_ids
        else:
            ids += _tokenize_after(tokenizer, text, as_text)
    return ids


def answer_ids(tokenizer: PreTrainedTokenizerBase, spans: Sequence[Span], lead: str, text: str) -> list[int]:
    """Token ids of an answer to a prompt.

    It is tokenized together with the prompt, as answers in training were, unless that changes the prompt's own ids.

    Args:
        lead: see `answer_lead`.
    """
    said = [Text(lead, by_user=False), Text(text, by_user=True)]
    with failures_told("the checkpoint's tokenizer fails"):
        prompt, whole = _tokenize(tokenizer, spans), _tokenize(tokenizer, [*spans, *said])
        if whole[: len(prompt)] == prompt:
            return whole[len(prompt) :]
        segments = _segments(said, tokenizer.get_added_vocab())
        return [i for segment, as_text in segments for i in _tokenize_after(tokenizer, segment, as_text)]


def _tokenize_after(tokenizer: PreTrainedTokenizerBase, text: str, as_text: bool) -> list[int]:
    """Ids of text that does not start the prompt: SentencePiece tokenizers would put a space before it."""
    line_end = tokenizer("\n", add_special_tokens=False).input_ids
    ids = tokenizer("\n" + text, add_special_tokens=False, split_special_tokens=as_text).input_ids
    if ids[: len(line_end)] == line_end:
        return list(ids[len(line_end) :])
    return list(tokenizer(text, add_special_tokens=False, split_special_tokens=as_text).input_ids)


def _segments(spans: Sequence[Span], control_tokens: Iterable[str]) -> list[tuple[str, bool]]:
    """The prompt as (text, is it a control token that the user typed), as few segments as possible."""
    longest_first = sorted(filter(str.strip, control_tokens), key=len, reverse=True)
    control = re.compile("|".join(map(re.escape, longest_first)) or "(?!)")
    segments = [("", False)]
    for span in spans:
        if isinstance(span, Text) and span.by_user:
            end = 0
            for match in control.finditer(span.text):
                segments[-1] = (segments[-1][0] + span.text[end : match.start()], False)
                segments += [(match.group(), True), ("", False)]
                end = match.end()
            text = span.text[end:]
        else:
            text = span.text if isinstance(span, Text) else str(span)
        segments[-1] = (segments[-1][0] + text, False)
    return [segment for segment in segments if segment[0]]


def readable(spans: Iterable[Span]) -> str:
    """The prompt as a person reads it, one placeholder for each medium."""
    return "".join(span.text if isinstance(span, Text) else str(span) for span in spans)
