# SPDX-License-Identifier: Apache-2.0
"""A tiny checkpoint, loaded by the real loader."""

from pathlib import Path

import pytest
import tiny_checkpoint

from llava_cli.engine.load import load
from llava_cli.engine.local import LocalEngine
from llava_cli.engine.options import LoadOptions
from llava_cli.models.checkpoint import open_checkpoint
from llava_cli.models.registry import family_of


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_checkpoint.make(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(scope="session")
def engine(folder: Path) -> LocalEngine:
    return load(family_of(open_checkpoint(str(folder))), LoadOptions(device="cpu", dtype="float32"))
