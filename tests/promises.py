# SPDX-License-Identifier: Apache-2.0
"""Ties between the sentences of a man page and the tests that check them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Test = Callable[..., Any]


def noted_in(checked: list[str]) -> Callable[[str], Callable[[Test], Test]]:
    """A decorator with which a test names the sentence that it checks; the sentences are added to `checked`.

    Tests that stand below it without one check the same sentence. A test of the page compares the list with the page.
    """

    def promise(words: str) -> Callable[[Test], Test]:
        checked.append(words)
        return lambda test: test

    return promise
