# SPDX-License-Identifier: Apache-2.0
"""How sure a model is: of each token that it said, and of the answers that it could choose from."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from llava_cli.errors import UsageError
from llava_cli.texts import check_text

Normalize = Literal["none", "tokens"]
MOST_LOGPROBS = 100
"""How many of the likeliest tokens may be told."""


@dataclass(frozen=True)
class Choices:
    """The answers that there are to choose from.

    Raises:
        UsageError: there are fewer than two, or one is empty, no text, or there twice.
    """

    texts: tuple[str, ...]
    normalize: Normalize = "none"
    """They are compared by the sum of their tokens' log-probabilities, or by the mean (`tokens`), which does not
    favour short ones."""

    def __post_init__(self) -> None:
        check_text("choice", *self.texts)
        object.__setattr__(self, "texts", tuple(text.strip() for text in self.texts))
        if not all(self.texts):
            raise UsageError("a choice is empty")
        for text in self.texts:
            if self.texts.count(text) > 1:
                raise UsageError(f"the choice {text!r} is there twice")
        if len(self.texts) < 2:
            raise UsageError("choices are at least two")

    def asked(self) -> dict[str, Any]:
        """The same as a record has it where there is no answer."""
        return {"choices": [{"text": text} for text in self.texts], "normalize": self.normalize}

    def scored(self, logprobs: Sequence[Sequence[float]]) -> tuple[ScoredChoice, ...]:
        """The choices in their order, with the log-probabilities of each one's tokens and of its end."""
        sums = [math.fsum(each) for each in logprobs]
        divisors = [len(each) if self.normalize == "tokens" else 1 for each in logprobs]
        shares = softmax([total / divisor for total, divisor in zip(sums, divisors, strict=True)])
        return tuple(
            ScoredChoice(text, share, total, len(each))
            for text, share, total, each in zip(self.texts, shares, sums, logprobs, strict=True)
        )


@dataclass(frozen=True)
class ScoredChoice:
    """How likely a choice is as the whole answer."""

    text: str
    probability: float
    """Among the choices: all of them together have 1."""
    logprob: float
    """Of its tokens and its end."""
    tokens: int
    """How many these are; its end is one."""

    def entry(self) -> dict[str, Any]:
        """The same as a record has it."""
        return {
            "text": self.text,
            "probability": rounded(self.probability),
            "logprob": rounded(self.logprob),
            "tokens": self.tokens,
        }


@dataclass(frozen=True)
class ScoredToken:
    """A token of an answer, and what could have stood in its place."""

    id: int
    text: str
    logprob: float
    best: tuple[ScoredToken, ...] = ()
    """The likeliest tokens in this place, best first."""

    def entry(self) -> dict[str, Any]:
        """The same as a record has it."""
        known: dict[str, Any] = {"id": self.id, "text": self.text, "logprob": rounded(self.logprob)}
        return known | {"best": [one.entry() for one in self.best]} if self.best else known


def softmax(logits: Sequence[float]) -> list[float]:
    """Probabilities that add up to 1."""
    most = max(logits)
    powers = [math.exp(logit - most) for logit in logits]
    total = math.fsum(powers)
    return [power / total for power in powers]


def mean_probability(logprobs: Sequence[float]) -> float:
    """The mean of the probabilities of some tokens."""
    return math.fsum(map(math.exp, logprobs)) / len(logprobs)


def rounded(number: float) -> float:
    """To six significant digits, as records have it."""
    return float(f"{number:.6g}")


def check_logprobs(count: int | None) -> None:
    """Make sure that so many of the likeliest tokens can be told.

    Raises:
        UsageError: they cannot.
    """
    if count is not None and not 0 <= count <= MOST_LOGPROBS:
        raise UsageError(f"logprobs is {count}; it must be from 0 to {MOST_LOGPROBS}")
