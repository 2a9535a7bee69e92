# SPDX-License-Identifier: Apache-2.0
"""Clips, what one engine makes of them, and where logs of bugs go."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from engine.pool.lists import answered, drawn, results

from llava_cli.session import Session


@pytest.fixture(autouse=True)
def logs(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("state")
    monkeypatch.setenv("XDG_STATE_HOME", str(folder))
    return folder / "llava"


@pytest.fixture(scope="session")
def clips(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Clips that the demo checkpoint knows what to say about."""
    return drawn(tmp_path_factory.mktemp("clips"), 24)


@pytest.fixture(scope="session")
def plain_ledger(clips: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What one engine, in this process, makes of the clips."""
    ledger = tmp_path_factory.mktemp("plain") / "ledger"
    with Session("demo") as session:
        answered(session, clips, ledger)
    return ledger


@pytest.fixture(scope="session")
def plain(plain_ledger: Path) -> dict[str, dict]:
    """Its records."""
    return results(plain_ledger)


@pytest.fixture
def begun(plain_ledger: Path) -> Callable[[Path, int], None]:
    """Begin a ledger with its first records."""
    lines = plain_ledger.read_bytes().splitlines(keepends=True)
    return lambda path, count: path.write_bytes(b"".join(lines[:count])) and None
