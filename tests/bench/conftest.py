# SPDX-License-Identifier: Apache-2.0
"""One short clip, and a session that answers about it in numbers that do not round differently in a batch."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from llava_cli.engine.types import Generation, LoadOptions
from llava_cli.request import FrameChoice, Request
from llava_cli.session import Session


@pytest.fixture(scope="session")
def session(checkpoints: Callable[[str], Path]) -> Iterator[Session]:
    with Session(str(checkpoints("llava-next-video")), load=LoadOptions("cpu", "float32")) as opened:
        yield opened


@pytest.fixture(scope="session")
def request_for(rendered: Callable[[str], Path]) -> Request:
    """A question about two frames that is answered in up to five tokens."""
    return Request("Why?", (str(rendered("h264")),), choice=FrameChoice(frames=2), generation=Generation(5))
