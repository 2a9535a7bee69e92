# SPDX-License-Identifier: Apache-2.0
"""Files that are only names."""

from __future__ import annotations

import pytest


@pytest.fixture
def contents(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """What files hold, by name; a file that is not named holds its name."""
    known: dict[str, str] = {}
    monkeypatch.setattr("llava_cli.batch.feed.content", lambda path: known.get(path, path))
    return known
