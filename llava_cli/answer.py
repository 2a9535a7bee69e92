# SPDX-License-Identifier: Apache-2.0
"""An answer on its way to whoever asked: prepared, in pieces, whole."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from llava_cli.captions import Caption
from llava_cli.engine import shape
from llava_cli.engine.memory import MemoryPlan
from llava_cli.engine.scores import ScoredChoice, ScoredToken
from llava_cli.engine.shape import Misshapen
from llava_cli.engine.types import Completion, Constraint, Generation, ModelInfo, Query
from llava_cli.loops import repeats_itself
from llava_cli.media.clip import Media
from llava_cli.record import answer_record, plan_record
from llava_cli.request import Request
from llava_cli.words import counted

if TYPE_CHECKING:
    from llava_cli.batch.jobs import Job

REPETITION = "repetition"
"""What a record says of the quality of an answer that repeats itself."""
_AGAIN = Generation(temperature=0.7, top_p=0.9, seed=0)


@dataclass(frozen=True)
class Prepared:
    """A request that can be answered: its media are decoded, its prompt fits."""

    request: Request
    """As it was made to fit."""
    media: tuple[Media, ...]
    """In the order in which the user named them."""
    query: Query
    decode_s: float

    @property
    def tokens(self) -> int:
        """How long its prompt is."""
        return len(self.query.prompt.ids) if self.query.prompt is not None else 0

    def plan_record(self, model: ModelInfo, memory: MemoryPlan) -> dict[str, Any]:
        """The record of a dry run: what would be shown, and what it would take."""
        if self.query.prompt is None:
            raise ValueError("the prompt is not known here")
        asked = self.request.asked(self.media)
        ids = self.request.prompt_ids
        return plan_record(asked, self.media, self.query.prompt, model, memory, self.request.warnings, ids)

    def sampled(self) -> Prepared:
        """The same to be answered with sampling, after an answer that repeats itself."""
        generation = replace(_AGAIN, max_new_tokens=self.request.generation.max_new_tokens)
        note = "the first answer repeated itself: asked once more with sampling"
        request = replace(self.request, generation=generation, notes=(*self.request.notes, note))
        return replace(self, request=request, query=replace(self.query, generation=generation))

    @property
    def question(self) -> str:
        """What is asked, in words."""
        return self.request.text(self.media)


@dataclass(frozen=True)
class Answer:
    """An answer, and all there is to know of it."""

    prepared: Prepared
    completion: Completion
    model: ModelInfo
    job: Job | None = None
    """Where it was one of a list."""

    def __str__(self) -> str:
        return self.text

    @property
    def text(self) -> str:
        return self.completion.text

    @property
    def finish_reason(self) -> str:
        """`stop`, `length` (of the answer was reached) or `interrupted`."""
        return self.completion.finish_reason

    @property
    def confidence(self) -> float | None:
        """The mean probability of its tokens, its end among them; None where it is not known."""
        return self.completion.confidence

    @property
    def choices(self) -> tuple[ScoredChoice, ...]:
        """What there was to choose from, each with its probability, in the order in which it was given."""
        return self.completion.choices

    @property
    def tokens(self) -> tuple[ScoredToken, ...]:
        """What was generated, token by token, where log-probabilities were asked for."""
        return self.completion.tokens

    @property
    def parsed(self) -> Any:
        """What an answer says that has a schema: objects, lists, texts, numbers; None where it has none."""
        constraint = self._constraint
        return None if constraint is None else shape.value_of(constraint, self.text)

    @property
    def misfit(self) -> Misshapen | None:
        """What is wrong with an answer that was to have a shape: it must not be used."""
        constraint, done = self._constraint, self.completion
        if constraint is None:
            return None
        error = shape.misfit(constraint, done.text, done.finish_reason, done.completion_tokens)
        if error is not None:
            error.known = {"media": self.media}
        return error

    @property
    def _constraint(self) -> Constraint | None:
        return self.prepared.request.constraint

    @property
    def prompt_text(self) -> str | None:
        """The prompt as it was put to the model, one placeholder for each medium; None where it is not known here."""
        prompt = self.prepared.query.prompt
        return None if prompt is None else prompt.text

    @property
    def media(self) -> tuple[Media, ...]:
        """What the model was shown, in the order in which it was named."""
        return self.prepared.media

    @property
    def prompt_tokens(self) -> int:
        return self.completion.prompt_tokens

    @property
    def visual_tokens(self) -> int:
        """How many of the prompt's tokens stand for media."""
        return sum(self.completion.visual_tokens)

    @property
    def warnings(self) -> tuple[str, ...]:
        """What was odd about the media, what was changed of what was asked for, and whether the answer is whole."""
        return (*(note for medium in self.media for note in medium.info.warnings), *self._notes)

    @property
    def cut(self) -> str | None:
        """What there is to say of an answer that its longest length cut off."""
        if self.finish_reason != "length":
            return None
        most = counted(self.completion.completion_tokens, "token")
        return f"the answer was cut off after {most}; --max-new-tokens allows longer ones"

    @property
    def repeats(self) -> bool:
        """Whether it says the same again and again."""
        return repeats_itself(self.text)

    @property
    def caption(self) -> Caption:
        """What is made of it where a caption is wanted."""
        return self.prepared.request.wording.of(self.text)

    @property
    def _notes(self) -> tuple[str, ...]:
        return (*self.prepared.request.warnings, *self.completion.notes, *filter(None, [self.cut]))

    def record(self) -> dict[str, Any]:
        """The same keys as the command line's `--json`; see llava-record(5)."""
        return self.record_of(None)

    def record_of(self, own_id: str | int | None) -> dict[str, Any]:
        """The record with the id that a job has, or else with one that says what was asked."""
        done = self.prepared
        request = done.request
        asked = request.asked(done.media)
        record = answer_record(
            asked, done.media, self.completion, self.model, done.decode_s, self._notes, own_id,
            done.query.prompt if request.prompt_ids else None,
            {"parsed": self.parsed} if "schema" in asked else {},
        )  # fmt: skip
        if self.repeats:
            record["quality"] = REPETITION
        if not request.wording.changes_nothing:
            record["caption"] = self.caption.entry()
        return record


class AnswerStream(Iterator[str]):
    """The text of an answer in pieces, as it comes. `answer` is there once they have ended."""

    def __init__(self, pieces: Generator[str, None, Answer]) -> None:
        self._pieces = pieces
        self.answer: Answer | None = None

    def __next__(self) -> str:
        while True:
            try:
                piece = next(self._pieces)
            except StopIteration as end:
                self.answer = end.value or self.answer
                raise
            if piece:
                return piece

    def result(self) -> Answer:
        """The answer, once all of its pieces have come."""
        for _ in self:
            pass
        if self.answer is None:
            raise RuntimeError("the stream was closed before its end")
        return self.answer

    def close(self) -> None:
        """Give the answer up, if it has not ended."""
        self._pieces.close()

    def __enter__(self) -> AnswerStream:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
