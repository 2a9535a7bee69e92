# SPDX-License-Identifier: Apache-2.0
"""Workers of their own for the tests, in a folder whose name is short enough for sockets."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from llava_cli.engine.warm.manage import stop, workers


@pytest.fixture
def runtime(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where workers listen; those that a test leaves are ended with it."""
    folder = Path(tempfile.mkdtemp(prefix="llava-"))
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(folder))
    yield folder / "llava"
    for worker in workers():
        stop(worker)
    shutil.rmtree(folder)
