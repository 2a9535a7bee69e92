# SPDX-License-Identifier: Apache-2.0
"""Files that are only names; and ledgers that tests leave open, as killed processes do, have their databases closed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from llava_cli.batch.index import Index


@pytest.fixture
def contents(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """What files hold, by name; a file that is not named holds its name."""
    known: dict[str, str] = {}
    monkeypatch.setattr("llava_cli.batch.feed.content", lambda path, limits: known.get(path, path))
    return known


@pytest.fixture(autouse=True)
def logs(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where logs of bugs go."""
    folder = tmp_path_factory.mktemp("state")
    monkeypatch.setenv("XDG_STATE_HOME", str(folder))
    return folder / "llava"


@pytest.fixture(autouse=True)
def indexes_are_closed(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    opened: list[Index] = []
    create = Index.__init__

    def noted(index: Index) -> None:
        create(index)
        opened.append(index)

    monkeypatch.setattr(Index, "__init__", noted)
    yield
    for index in opened:
        index.close()
