# SPDX-License-Identifier: Apache-2.0
"""Probabilities of choices from log-probabilities of tokens; what is refused: tests/test_request.py."""

from __future__ import annotations

import math

import pytest

from llava_cli.engine.scores import Choices, mean_probability, rounded, softmax

LOGPROBS = [[-1.0, -1.0, -1.0, -1.0], [-3.0, -0.5]]


def test_without_normalizing_the_whole_answer_s_likelihood_counts():
    long, short = Choices(("a long one", "short")).scored(LOGPROBS)
    assert (long.logprob, short.logprob) == (-4.0, -3.5)
    assert short.probability == pytest.approx(1 / (1 + math.exp(-0.5)))
    assert long.probability + short.probability == pytest.approx(1)
    assert (long.tokens, short.tokens) == (4, 2)


def test_normalized_by_tokens_a_long_answer_may_win_and_its_likelihood_is_told_unchanged():
    long, short = Choices(("a long one", "short"), "tokens").scored(LOGPROBS)
    assert long.probability == pytest.approx(1 / (1 + math.exp(-0.75)))
    assert (long.logprob, short.logprob) == (-4.0, -3.5)


def test_choices_that_are_next_to_impossible_still_compare():
    assert softmax([-5000.0, -5000.0 - math.log(3)]) == pytest.approx([0.75, 0.25])


def test_confidence_is_the_mean_of_probabilities_not_of_their_logarithms():
    assert mean_probability([0.0, math.log(0.5)]) == pytest.approx(0.75)


def test_six_digits():
    assert [rounded(number) for number in (0.123456789, 1.23456789e-9, -40.9224567)] == [0.123457, 1.23457e-9, -40.9225]
