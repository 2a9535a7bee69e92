# SPDX-License-Identifier: Apache-2.0
"""A family's engine: each module says in its fixture `folder` which tiny checkpoint it is about."""

from pathlib import Path

import pytest
from answering import engine_of

from llava_cli.engine.local import LocalEngine


@pytest.fixture(scope="module")
def engine(folder: Path) -> LocalEngine:
    return engine_of(folder, dtype="float32")
