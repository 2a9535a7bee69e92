# SPDX-License-Identifier: Apache-2.0
"""A tiny checkpoint, loaded by the real loader."""

from pathlib import Path

import pytest
import tiny_checkpoint
from answering import engine_of

from llava_cli.engine.local import LocalEngine


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_checkpoint.make(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(scope="session")
def engine(folder: Path) -> LocalEngine:
    return engine_of(folder, dtype="float32")
