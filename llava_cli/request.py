# SPDX-License-Identifier: Apache-2.0
"""What is asked: media by name, a question, and how both are to be put. Nothing is read yet."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, fields, is_dataclass, replace
from typing import Any

from llava_cli.engine.types import Generation
from llava_cli.errors import LlavaError
from llava_cli.media.clip import Media, Policy, Sampling, View
from llava_cli.models import messages
from llava_cli.models.messages import Conversation, Message
from llava_cli.texts import check_name, check_text, path_entry

DESCRIBE = {"video": "Describe this video in detail.", "image": "Describe this image in detail."}
"""What is asked where nothing else is."""


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
    exact_pixels: bool = False
    """Scale with Pillow, as the checkpoint's authors did."""

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
        return replace(view, sampling=sampling, fit="full" if self.exact_pixels else view.fit)


def _generation(settings: Generation) -> dict[str, Any]:
    return {"max_new_tokens": settings.max_new_tokens, "do_sample": settings.do_sample, **asdict(settings)}


def _as_json(value: Any) -> Any:
    return asdict(value) if is_dataclass(value) and not isinstance(value, type) else value


_TOLD_OTHERWISE = ("question", "media", "history", "system", "generation", "notes")


@dataclass(frozen=True)
class Request:
    """A question, its media, and what was said before.

    Raises:
        UsageError: what is said is no text.
        InputError: no file can have one of the names.
    """

    question: str | None = None
    """None asks for a description, in words that depend on whether the first medium is a video or an image."""
    media: tuple[str, ...] = ()
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

    def __post_init__(self) -> None:
        check_text("question", self.question)
        check_text("system prompt", self.system)
        check_text("conversation", *(part for one in self.history for part in one.parts if isinstance(part, str)))
        for name in self.names:
            check_name(name)

    @property
    def names(self) -> tuple[str, ...]:
        """All media, those of the history first."""
        return (*(path for message in self.history for path in message.paths), *self.media)

    def asked(
        self, media: Sequence[Media] = (), named: Callable[[str], Mapping[str, str]] = path_entry
    ) -> dict[str, Any]:
        """All that is asked, as JSON, but for the names of the question's media.

        Records, their ids and the keys of work are made of this: a new field is in all of them by itself.

        Args:
            media: those of the question, where they are known.
            named: gives the keys that stand for a medium of the history.
        """
        rest = {one.name: getattr(self, one.name) for one in fields(self) if one.name not in _TOLD_OTHERWISE}
        return {
            "question": self.text(media),
            "system": self.system,
            "messages": messages.as_json(self.history, named),
            **{key: _as_json(value) for key, value in rest.items()},
            "generation": _generation(self.generation),
        }

    def text(self, media: Sequence[Media] = ()) -> str:
        """What is asked, in words; `media` are those of the question."""
        if self.question is not None:
            return self.question
        if self._ends_with_history:
            return " ".join(part for part in self.history[-1].parts if isinstance(part, str))
        return DESCRIBE[media[0].info.kind if media else "video"]

    def conversation(self, shown: Mapping[str, Media]) -> Conversation:
        """The conversation with its media, which are given by name.

        Raises:
            InputError: a file is not of the kind that the history says.
        """
        turns = messages.with_media(self.history, shown)
        if not self._ends_with_history:
            media = [shown[name] for name in self.media]
            turns += messages.ask(self.text(media), media).turns
        return messages.with_system(Conversation(turns), self.system)

    @contextmanager
    def known_to_failures(self) -> Iterator[None]:
        """Have errors on the way carry what was asked, for their records."""
        try:
            yield
        except LlavaError as error:
            error.known = {"asked": self.asked(), "paths": self.names, **error.known}
            raise

    @property
    def _ends_with_history(self) -> bool:
        return self.question is None and bool(self.history) and self.history[-1].role == "user"
