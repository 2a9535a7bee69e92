# SPDX-License-Identifier: Apache-2.0
"""A tiny checkpoint, loaded by the real loader."""

from collections.abc import Callable
from pathlib import Path

import pytest
from answering import engine_of

from llava_cli.engine.local import LocalEngine


@pytest.fixture(scope="session")
def folder(checkpoints: Callable[[str], Path]) -> Path:
    return checkpoints("llava-next-video")


@pytest.fixture(scope="session")
def engine(folder: Path) -> LocalEngine:
    return engine_of(folder, dtype="float32")
