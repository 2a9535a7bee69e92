# SPDX-License-Identifier: Apache-2.0
"""The questions of a multiple-choice task: jobs with choices, of which one is the answer."""

from __future__ import annotations

import random
import string
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, BinaryIO, Literal

from llava_cli.batch.jobs import Job, read_jsonl
from llava_cli.errors import InputError

Style = Literal["letters", "texts"]
By = Literal["scores", "text"]

LETTERS = string.ascii_uppercase
_INSTRUCTION = "Answer with the option's letter from the given choices directly."
_UNSORTED = ""


@dataclass(frozen=True)
class Question:
    """A question with its options in the order in which they are shown."""

    job: Job
    options: tuple[str, ...]
    truth: int
    """The place of the right one."""
    category: str = _UNSORTED

    @property
    def id(self) -> str | int:
        """Different for each question of a task."""
        return self.job.id if self.job.id is not None else 0

    def asked(self, style: Style, by: By) -> Job:
        """The job that puts it to a model.

        Args:
            style: `letters` lists the options below the question, and a letter is the answer; `texts` asks the
                question alone, and one of the options is the answer.
            by: `scores` has the answer chosen by likelihood, `text` has it generated.
        """
        choices = self.labels(style) if by == "scores" else None
        if style == "texts":
            return replace(self.job, choices=choices)
        listed = (f"{letter}. {text}" for letter, text in zip(LETTERS, self.options, strict=False))
        question = "\n".join([self.job.question or "", *listed, _INSTRUCTION])
        return replace(self.job, question=question, choices=choices)

    def labels(self, style: Style) -> tuple[str, ...]:
        """What stands for each option in an answer."""
        return tuple(LETTERS[: len(self.options)]) if style == "letters" else self.options

    def shuffled(self, seed: int) -> Question:
        """The same with its options in an order that follows from the seed and its id."""
        order = list(range(len(self.options)))
        random.Random(f"{seed}/{self.id}").shuffle(order)  # noqa: S311 - no secrets
        return replace(self, options=tuple(self.options[place] for place in order), truth=order.index(self.truth))


def read_task(stream: BinaryIO, name: str) -> Iterator[Question]:
    """The questions of a task in JSON Lines: see `llava eval`.

    Raises:
        InputError: a line is no such question, or two have the same id; the message says which.
    """
    ids = set()
    for number, item in enumerate(read_jsonl(stream, name), 1):
        if not isinstance(item, Job):
            raise item.error
        try:
            question = _question(item, number)
        except InputError as error:
            raise InputError(f"{name}: question {number}: {error}") from error
        if question.id in ids:
            raise InputError(f"{name}: question {number}: another one has the id {question.id!r} too")
        ids.add(question.id)
        yield question


def _question(job: Job, number: int) -> Question:
    if job.choices is None:
        raise InputError("has no choices")
    if len(job.choices) > len(LETTERS):
        raise InputError(f"has {len(job.choices)} choices, more than there are letters")
    category = job.extra.get("category", _UNSORTED)
    if not isinstance(category, str):
        raise InputError("category must be a text")
    numbered = replace(job, id=number if job.id is None else job.id)
    return Question(numbered, job.choices, _truth(job.extra.get("answer"), job.choices), category)


def _truth(answer: Any, choices: tuple[str, ...]) -> int:
    """The place of the right choice, which is said by its text, its letter, or its number from 0 on."""
    if isinstance(answer, int) and not isinstance(answer, bool) and 0 <= answer < len(choices):
        return answer
    if isinstance(answer, str):
        if answer.strip() in choices:
            return choices.index(answer.strip())
        if answer.strip() in LETTERS[: len(choices)] and answer.strip():
            return LETTERS.index(answer.strip())
    raise InputError(f"answer must be the text, the letter or the number (from 0 on) of a choice, not {answer!r}")
