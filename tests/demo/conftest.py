# SPDX-License-Identifier: Apache-2.0
"""The bundled checkpoint, loaded and asked as the commands do."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from llava_cli.demo.training.measure import Answerer, through_the_tool


@pytest.fixture(scope="session")
def answer() -> Iterator[Answerer]:
    torch.manual_seed(0)
    with through_the_tool() as answer:
        yield answer


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    return tmp_path / "clip.mp4"
