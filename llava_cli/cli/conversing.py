# SPDX-License-Identifier: Apache-2.0
"""A conversation that goes on: its turns, its media, and what each answer cost. Knows of no terminal."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from llava_cli.models.messages import Conversation, Turn, ask, with_system

if TYPE_CHECKING:
    from llava_cli.engine.types import Answer, Engine, Generation
    from llava_cli.media.clip import Media


@dataclass
class Talk:
    """What was said, and the media that the next question brings."""

    turns: list[Turn] = field(default_factory=list)
    waiting: list[Media] = field(default_factory=list)
    """Named by the user, but shown to the model with the next question only."""
    system: str | None = None
    answers: list[Answer] = field(default_factory=list)

    @property
    def media(self) -> list[Media]:
        """All media, in order."""
        return [*(medium for turn in self.turns for medium in turn.media), *self.waiting]

    def question(self, text: str) -> Conversation:
        """The conversation with one more question."""
        return with_system(Conversation((*self.turns, *ask(text, self.waiting).turns)), self.system)

    def answered(self, asked: Conversation, answer: Answer) -> None:
        """Go on after this answer."""
        self.turns = [turn for turn in asked.turns if turn.role != "system"]
        self.turns.append(Turn("assistant", (answer.text,)))
        self.waiting = []
        self.answers.append(answer)

    def undo(self) -> bool:
        """Forget the last question and its answer; its media wait for the next question. False if there is none."""
        if len(self.turns) < 2:
            return False
        self.waiting = [*self.turns[-2].media, *self.waiting]
        del self.turns[-2:]
        del self.answers[-1:]
        return True

    def all_turns(self) -> tuple[Turn, ...]:
        """With the system prompt, as a conversation file holds them."""
        return with_system(Conversation(tuple(self.turns)), self.system).turns

    def stats(self) -> str:
        """What each answer cost: tokens of the prompt that were run, those that were ready, and time."""
        head = ("turn", "prompt", "ready", "run", "answer", "encode", "first", "all")
        rows = [head, *(_row(number, answer) for number, answer in enumerate(self.answers, 1))]
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        return "".join(
            "  ".join(text.rjust(width) for text, width in zip(row, widths, strict=True)) + "\n" for row in rows
        )


def _row(number: int, answer: Answer) -> tuple[str, ...]:
    timing = answer.timing
    counts = (
        number,
        answer.prompt_tokens,
        answer.cached_tokens,
        answer.prompt_tokens - answer.cached_tokens,
        answer.completion_tokens,
    )
    times = (timing.encode_s, timing.first_token_s, timing.generate_s)
    return (*map(str, counts), *(f"{seconds:.2f} s" for seconds in times))


def reply(
    engine: Engine,
    conversation: Talk,
    text: str,
    generation: Generation,
    on_text: Callable[[str], Any],
    stop: Callable[[], bool],
) -> Answer:
    """Answer the next question, and go on from there. What earlier turns computed is used again."""
    asked = conversation.question(text)
    answer = engine.answer([asked], generation, on_text, keep_cache=True, stop=stop)[0]
    conversation.answered(asked, answer)
    return answer
