# SPDX-License-Identifier: Apache-2.0
"""Media for the tests: rendered once in a session, into the session's own folder. The project holds no media files."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

# Before torch is imported, here or in a program that a test starts: models this small are slower on several threads.
os.environ.setdefault("OMP_NUM_THREADS", "1")


@pytest.fixture(scope="session")
def rendered(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Return a function from the name of a spec in media/rendering.py to its video, rendered on first use."""
    from media.rendering import SPECS, render

    folder = tmp_path_factory.mktemp("rendered")

    def path_of(name: str) -> Path:
        path = folder / (name + SPECS[name].suffix)
        if not path.exists():
            render(SPECS[name], path)
        return path

    return path_of
