# SPDX-License-Identifier: Apache-2.0
"""How often answers are right, how sure that is, and whether probabilities mean what they say."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

_Z = 1.959964
"""Standard deviations to each side that hold 95 % of a normal distribution."""
_BINS = 10


@dataclass(frozen=True)
class Outcome:
    """What became of one question."""

    category: str
    right: bool
    confidence: float | None = None
    """The probability of what was answered, where it is known."""
    clear: bool = True
    """Whether it could be told which option was meant."""
    failed: bool = False
    """There is no answer, which counts as a wrong one."""


@dataclass(frozen=True)
class Accuracy:
    """How many of some questions were answered right."""

    right: int
    asked: int

    @property
    def share(self) -> float:
        return self.right / self.asked if self.asked else 0.0

    @property
    def interval(self) -> tuple[float, float]:
        """Wilson's score interval: where the true share lies with a confidence of 95 %."""
        if not self.asked:
            return 0.0, 1.0
        spread = _Z**2 / self.asked
        middle = (self.share + spread / 2) / (1 + spread)
        half = math.sqrt(self.share * (1 - self.share) * spread + spread**2 / 4) / (1 + spread)
        return max(0.0, middle - half), min(1.0, middle + half)


@dataclass(frozen=True)
class Bin:
    """Answers of about the same confidence."""

    low: float
    high: float
    confidence: float
    """The mean."""
    accuracy: Accuracy


def accuracy(outcomes: Sequence[Outcome]) -> Accuracy:
    """How many were right."""
    return Accuracy(sum(outcome.right for outcome in outcomes), len(outcomes))


def by_category(outcomes: Iterable[Outcome]) -> dict[str, Accuracy]:
    """The same of each category, by name."""
    ordered = sorted(outcomes, key=lambda outcome: outcome.category)
    return {name: accuracy(list(some)) for name, some in groupby(ordered, lambda outcome: outcome.category)}


def reliability(outcomes: Iterable[Outcome]) -> Iterator[Bin]:
    """Answers by their confidence, in tenths: where it can be trusted, as many are right as it says."""
    sure = ((one.confidence, one) for one in outcomes if one.confidence is not None)
    known = sorted(sure, key=lambda pair: pair[0])
    for tenth, pairs in groupby(known, lambda pair: min(int(pair[0] * _BINS), _BINS - 1)):
        some = list(pairs)
        mean = math.fsum(confidence for confidence, _ in some) / len(some)
        yield Bin(tenth / _BINS, (tenth + 1) / _BINS, mean, accuracy([outcome for _, outcome in some]))


def calibration_error(bins: Sequence[Bin]) -> float | None:
    """The expected calibration error: how far confidence and accuracy are apart, on the average of all answers."""
    asked = sum(one.accuracy.asked for one in bins)
    if not asked:
        return None
    return math.fsum(abs(one.confidence - one.accuracy.share) * one.accuracy.asked for one in bins) / asked
