# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from collections.abc import Iterator

import pytest
from media.web_server import Site, serving


@pytest.fixture
def site() -> Iterator[Site]:
    with serving() as here:
        yield here
