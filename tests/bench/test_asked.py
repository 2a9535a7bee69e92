# SPDX-License-Identifier: Apache-2.0
"""One question is put to both, as often as is said, and what they say is compared."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from llava_cli.bench.asked import Asked, median


@pytest.fixture
def prepared(session, request_for):
    with session.open_media() as media:
        return session.prepare(request_for, media)


@pytest.mark.parametrize("batch", [1, 3])
def test_figures_of_both(session, prepared, batch):
    asked = Asked(session.engine, prepared, batch, 2)
    assert asked.plain_ids == asked.completion.ids
    assert asked.same_tokens == len(asked.completion.ids)
    for value in (asked.encode_s, asked.first_token_s, asked.plain_first_s, asked.memory, asked.plain_memory):
        assert value > 0
    if len(asked.completion.ids) > 1:
        assert asked.token_s > 0
        assert asked.plain_token_s is not None


def test_tokens_are_the_same_up_to_the_first_that_is_not():
    asked = Asked.__new__(Asked)
    asked.completion, asked.plain_ids = SimpleNamespace(ids=(4, 5, 6, 7)), (4, 5, 9, 7)
    assert asked.same_tokens == 2


def test_a_median_is_of_what_is_known():
    assert median([3.0, None, 1.0, 2.0]) == 2
    assert median([None]) is None
