# SPDX-License-Identifier: Apache-2.0
"""A process that decodes, for the tests of both its sides."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from llava_cli.media.worker.parent import Worker


@pytest.fixture
def worker() -> Iterator[Worker]:
    with Worker() as here:
        yield here
