# SPDX-License-Identifier: Apache-2.0
"""What is asked: media by name, a question, and how both are to be put. Nothing is read yet."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, fields, is_dataclass, replace
from typing import TYPE_CHECKING, Any

from llava_cli.captions import PLAIN, Wording
from llava_cli.cues import Cue
from llava_cli.engine.scores import Choices, Normalize, check_logprobs
from llava_cli.engine.types import Constraint, Generation
from llava_cli.errors import LlavaError, UsageError
from llava_cli.media.clip import Media, Policy, Positions, Sampling, View
from llava_cli.media.windows import Window
from llava_cli.models import messages
from llava_cli.models.messages import Conversation, MediaPath, Medium, Message
from llava_cli.models.raw import looks_rendered
from llava_cli.preface import PARTS, SUBTITLES, Summary, before
from llava_cli.texts import check_name, check_text, path_entry

if TYPE_CHECKING:
    from llava_cli.models.family import Family
    from llava_cli.models.served import Served

DESCRIBE = {"video": "Describe this video in detail.", "image": "Describe this image in detail."}
"""What is asked where nothing else is."""
WRAPPED_AGAIN = "the question looks like a whole prompt, but is put into the chat template; --raw asks it as it is"


_FOR_SOME_FAMILIES = ("max_frame_pixels", "video_positions")


@dataclass(frozen=True)
class FrameChoice:
    """What the user chose of how frames are shown; None leaves it to the family."""

    frames: int | None = None
    """At most so many."""
    fps: float | None = None
    """Frames a second, instead of a number of frames."""
    sampling: Policy | None = None
    start: float | None = None
    """Seconds."""
    end: float | None = None
    fast_pixels: bool = False
    """Scale inside the decoder, instead of to the bytes that the checkpoint's authors did."""
    max_frame_pixels: int | None = None
    """The largest frames, where frames have sizes of their own."""
    video_positions: Positions | None = None
    """What the vision tower is told of when a frame is shown."""

    def prepared(self, family: Family | Served) -> View:
        """A family's view, with frames prepared as was chosen.

        Raises:
            UsageError: the family cannot do that.
        """
        return family.view_with(self.max_frame_pixels, self.video_positions)

    @property
    def told(self) -> dict[str, Any]:
        """The same as JSON. What only some families can do is there where it was asked for."""
        return {key: value for key, value in asdict(self).items() if value is not None or key not in _FOR_SOME_FAMILIES}

    def of(self, view: View, most_frames: int) -> View:
        """A family's view with these choices; a rate of frames is bounded by `most_frames`, or by their number."""
        default = view.sampling
        most = default.frames if self.fps is None else most_frames
        sampling = Sampling(
            policy="fps" if self.fps is not None else self.sampling or default.policy,
            frames=most if self.frames is None else self.frames,
            fps=self.fps,
            start=self.start,
            end=self.end,
        )
        return replace(view, sampling=sampling, pixels="fast" if self.fast_pixels else view.pixels)


def _generation(settings: Generation) -> dict[str, Any]:
    return {"max_new_tokens": settings.max_new_tokens, "do_sample": settings.do_sample, **asdict(settings)}


def _unsampled(settings: Generation) -> Generation:
    """The same for an answer that is chosen: nothing is drawn for it."""
    return replace(settings, temperature=None, top_p=None, seed=None)


def _as_json(value: Any) -> Any:
    if isinstance(value, Summary):
        return value.entry()
    if isinstance(value, tuple):
        return [_as_json(part) for part in value]
    return asdict(value) if is_dataclass(value) and not isinstance(value, type) else value


_TOLD_OTHERWISE = (
    "question", "media", "history", "system", "template", "prompt_ids", "generation", "notes", "wording", "choices",
    "normalize", "logprobs", "constraint",
)  # fmt: skip
TOLD_IF_SET = frozenset({"window", "title", "context", "summary", "retry_loops"})
"""What records say of a request only where it is so."""


@dataclass(frozen=True)
class Request:
    """A question, its media, and what was said before.

    Raises:
        UsageError: what is said is no text, or more than a raw prompt.
        InputError: no file can have one of the names.
    """

    question: str | None = None
    """None asks for a description, in words that depend on whether the first medium is a video or an image."""
    media: tuple[Medium, ...] = ()
    """Those of the question: files, URLs, `-` for standard input."""
    history: tuple[Message, ...] = ()
    """Earlier messages, their media by name. One that ends with the user's is the whole question."""
    system: str | None = None
    """A system prompt, in the place of the history's own."""
    choice: FrameChoice = field(default_factory=FrameChoice)
    fit: bool = False
    """Show fewer frames where all of them do not fit into the context or the memory."""
    generation: Generation = field(default_factory=Generation)
    notes: tuple[str, ...] = ()
    """What was changed of what the user asked for."""
    raw: bool = False
    """The question is the whole prompt: no template is applied, its marks place the media."""
    template: str | None = None
    """A chat template (Jinja) in the place of the checkpoint's."""
    prompt_ids: bool = False
    """Have the record hold the prompt and all token ids."""
    window: Window | None = None
    """The part of its video that `choice` bounds, where it is one of several that are asked by themselves."""
    title: bool = False
    """The question is for the window's title."""
    context: tuple[Cue, ...] = ()
    """Subtitles of what is shown; they stand before the question."""
    summary: Summary | None = None
    """The question is about what was said of a video's windows, in the place of media."""
    retry_loops: bool = False
    """Ask once more, with sampling, where an answer repeats itself."""
    wording: Wording = PLAIN
    """How a caption is made of the answer; it changes nothing of what is asked."""
    choices: tuple[str, ...] | None = None
    """The answer is the likeliest of these."""
    normalize: Normalize = "none"
    """How choices are compared; see `Choices`."""
    logprobs: int | None = None
    """Have the record hold how likely each token of a generated answer was, and so many that could have been there."""
    constraint: Constraint | None = None
    """The shape that the answer is to have."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "media", tuple(map(messages.without_userinfo, self.media)))
        check_text("question", self.question)
        check_text("system prompt", self.system)
        check_text("template", self.template)
        check_text("conversation", *(text for message in self.history for text in message.texts))
        for name in self.names:
            check_name(name)
        if self.raw and (self.history or self.template is not None or (self.system or "").strip()):
            raise UsageError("a raw prompt is the whole prompt: it takes no system prompt, conversation or template")
        if self.context and (self.raw or self._ends_with_history):
            raise UsageError("subtitles stand before a question, which is asked with neither --raw nor as a message")
        check_logprobs(self.logprobs)
        if self.choices is not None and self.constraint is not None:
            raise UsageError(f"choices are whole answers: there can be no {self.constraint.kind} with them")
        if self.choosing is not None and self.logprobs is not None:
            raise UsageError("logprobs are about the tokens of a generated answer; choices are scored in any case")

    @property
    def choosing(self) -> Choices | None:
        """What there is to choose from, if there is.

        Raises:
            UsageError: it is no choice.
        """
        return None if self.choices is None else Choices(self.choices, self.normalize)

    @property
    def names(self) -> tuple[str, ...]:
        """The names of all media, in the order of `shown`."""
        return tuple(medium.path for medium in self.shown)

    @property
    def shown(self) -> tuple[MediaPath, ...]:
        """All media, those of the history first."""
        return (*messages.all_media(self.history), *map(messages.media_path, self.media))

    def fewer_frames(self, frames: int, note: str) -> Request:
        """The request with at most so many frames of each video."""

        def bounded(medium: MediaPath) -> MediaPath:
            own = medium.excerpt.frames
            return medium if own is None else replace(medium, excerpt=replace(medium.excerpt, frames=min(own, frames)))

        return replace(
            self,
            media=tuple(medium if isinstance(medium, str) else bounded(medium) for medium in self.media),
            history=tuple(message.changed(bounded) for message in self.history),
            choice=replace(self.choice, frames=frames),
            notes=(note,),
        )

    def shorter(self, error: LlavaError) -> Request:
        """The request with less of what was said of a video's windows.

        Raises:
            LlavaError: the error, where there is none, or not less of it.
        """
        summary = self.summary and self.summary.shorter()
        if summary is None:
            raise error
        return replace(self, summary=summary, notes=(summary.note,))

    def asked(
        self, media: Sequence[Media] = (), named: Callable[[str], Mapping[str, str]] = path_entry
    ) -> dict[str, Any]:
        """All that is asked, as JSON, but for the names of the question's media.

        Records, their ids and the keys of work are made of this: a new field is in all of them by itself. A shape is
        in it only where there is one.

        Args:
            media: those of the question, where they are known.
            named: gives the keys that stand for a medium of the history.
        """
        said = {one.name: getattr(self, one.name) for one in fields(self) if one.name not in _TOLD_OTHERWISE}
        rest = {name: value for name, value in said.items() if value or name not in TOLD_IF_SET}
        template = self.template
        return {
            "question": self.text(media),
            "system": self.system,
            "messages": messages.written(self.history, named),
            "template_sha256": None if template is None else hashlib.sha256(template.encode()).hexdigest(),
            **{key: _as_json(value) for key, value in rest.items()},
            "choice": self.choice.told,
            **({} if self.choosing is None else self.choosing.asked()),
            **({} if self.logprobs is None else {"logprobs": self.logprobs}),
            "generation": _generation(self.generation if self.choosing is None else _unsampled(self.generation)),
            **({} if self.constraint is None else self.constraint.asked),
        }

    def text(self, media: Sequence[Media] = ()) -> str:
        """What is asked, in words; `media` are those of the question."""
        if self.question is not None:
            return self.question
        if self._ends_with_history:
            return " ".join(self.history[-1].texts)
        return DESCRIBE[media[0].info.kind if media else "video"]

    def _put(self, media: Sequence[Media]) -> str:
        """What is asked, behind the texts that stand before it."""
        text = self.text(media)
        if self.summary is not None:
            return before(text, PARTS, self.summary.told)
        return before(text, SUBTITLES, self.context)

    def conversation(self, seen: Sequence[Media]) -> Conversation:
        """The conversation with its media, which are given in the order of `shown`.

        Raises:
            InputError: a file is not of the kind that the history says.
        """
        turns = messages.with_media(self.history, seen)
        media = seen[len(messages.all_media(self.history)) :]
        if self.raw:
            return messages.raw(self.text(media), media)
        if not self._ends_with_history:
            turns += messages.ask(self._put(media), media).turns
        return messages.with_system(Conversation(turns, self.template), self.system)

    @property
    def about_prompt(self) -> tuple[str, ...]:
        """The options of this request that are about how a prompt is made, and what fits into it."""
        return tuple(
            f"--{name.replace('_', '-')}" for name in ("raw", "template", "prompt_ids", "fit") if getattr(self, name)
        )

    @property
    def warnings(self) -> tuple[str, ...]:
        """What was changed of what the user asked for, and what may not be what the user means."""
        return (*self.notes, WRAPPED_AGAIN) if self.wrapped_again else self.notes

    @property
    def wrapped_again(self) -> bool:
        """Whether the question looks as if a chat template had been applied already, and one will be."""
        return not self.raw and looks_rendered(self.question or "")

    @contextmanager
    def known_to_failures(self) -> Iterator[None]:
        """Have errors on the way carry what was asked, for their records."""
        try:
            yield
        except LlavaError as error:
            error.known = {"asked": self.asked(), "paths": tuple(map(messages.shortest, self.shown)), **error.known}
            raise

    @property
    def _ends_with_history(self) -> bool:
        return self.question is None and bool(self.history) and self.history[-1].role == "user"
