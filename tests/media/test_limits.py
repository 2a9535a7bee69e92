# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest

from llava_cli.errors import UsageError
from llava_cli.media import limits


@pytest.mark.parametrize(
    ("text", "size"), [("5000", 5000), ("500M", 500 << 20), ("2GiB", 2 << 30), (" 1 kb ", 1 << 10), ("3t", 3 << 40)]
)
def test_sizes(text: str, size: int) -> None:
    assert limits.parse_size(text) == size


@pytest.mark.parametrize("text", ["", "0", "-1", "1.5G", "G", "1 X", "1e3", "\u0663"])
def test_what_is_no_size(text: str) -> None:
    with pytest.raises(UsageError, match="is not a size"):
        limits.parse_size(text)


def test_half_is_of_what_may_be_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "memory_limit", lambda: 1001)
    assert limits.half_of_memory() == 500
