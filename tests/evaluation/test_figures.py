# SPDX-License-Identifier: Apache-2.0
"""Accuracy, its interval, and whether confidence can be trusted."""

from __future__ import annotations

import random

import pytest

from llava_cli.evaluation.figures import Accuracy, Outcome, accuracy, by_category, calibration_error, reliability


@pytest.mark.parametrize(
    ("right", "asked", "low", "high"),
    [(8, 10, 0.4902, 0.9433), (0, 10, 0.0, 0.2775), (10, 10, 0.7225, 1.0), (500, 1000, 0.4691, 0.5309)],
)
def test_wilson_s_interval_is_that_of_the_textbooks(right, asked, low, high):
    assert Accuracy(right, asked).interval == pytest.approx((low, high), abs=1e-4)


def test_of_no_questions_nothing_is_known():
    assert Accuracy(0, 0).interval == (0.0, 1.0)
    assert Accuracy(0, 0).share == 0.0


def test_the_interval_holds_the_truth_in_about_95_of_100_cases():
    rng = random.Random(0)
    held = 0
    for _ in range(2000):
        low, high = Accuracy(sum(rng.random() < 0.9 for _ in range(60)), 60).interval
        held += low <= 0.9 <= high
    assert 0.93 < held / 2000 < 0.98


def test_categories_are_counted_apart():
    outcomes = [Outcome("b", True), Outcome("a", False), Outcome("b", False)]
    assert by_category(outcomes) == {"a": Accuracy(0, 1), "b": Accuracy(1, 2)}
    assert accuracy(outcomes) == Accuracy(1, 3)


def test_answers_are_compared_by_tenths_of_confidence():
    outcomes = [Outcome("", right, sure) for right, sure in ((True, 0.95), (True, 1.0), (False, 0.55), (True, 0.5))]
    low, high = reliability([*outcomes, Outcome("", False)])  # of the last no confidence is known
    assert (low.low, low.high, low.accuracy) == (0.5, 0.6, Accuracy(1, 2))
    assert (high.low, high.high, high.accuracy) == (0.9, 1.0, Accuracy(2, 2))
    assert (low.confidence, high.confidence) == pytest.approx((0.525, 0.975))
    assert calibration_error([low, high]) == pytest.approx((0.025 * 2 + 0.025 * 2) / 4)
    assert calibration_error([]) is None
