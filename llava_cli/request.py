# SPDX-License-Identifier: Apache-2.0
"""What is asked: media by name, a question, and how both are to be put. Nothing is read yet."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

from llava_cli.engine.types import Generation
from llava_cli.errors import LlavaError, UsageError
from llava_cli.media.clip import Media, Policy, Sampling, View
from llava_cli.models import messages
from llava_cli.models.messages import Conversation, Message

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
    fast_pixels: bool = False
    """Scale inside the decoder, instead of to the bytes that the checkpoint's authors did."""

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


@dataclass(frozen=True)
class Request:
    """A question, its media, and what was said before."""

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

    @property
    def names(self) -> tuple[str, ...]:
        """All media, those of the history first."""
        return (*(path for message in self.history for path in message.paths), *self.media)

    def check(self) -> None:
        """Make sure that what is said is text.

        Raises:
            UsageError: it holds bytes that are not UTF-8, or half of a surrogate pair: no tokenizer can read it.
        """
        said = {"question": [self.question or ""], "system prompt": [self.system or ""]}
        said["conversation"] = [part for one in self.history for part in one.parts if isinstance(part, str)]
        for what, texts in said.items():
            try:
                "".join(texts).encode()
            except UnicodeEncodeError as error:
                raise UsageError(f"the {what} is not valid Unicode text") from error

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
            asked = {"question": self.text(), "paths": self.names, "generation": self.generation}
            error.known = {**asked, **error.known}
            raise

    @property
    def _ends_with_history(self) -> bool:
        return self.question is None and bool(self.history) and self.history[-1].role == "user"
