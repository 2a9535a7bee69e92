# SPDX-License-Identifier: Apache-2.0
"""Libraries that are not there are told with the command that brings them."""

from __future__ import annotations

import pytest

from llava_cli.errors import UsageError
from llava_cli.extras import need


def test_a_library_that_is_there():
    need("json", "anything")


def test_one_that_is_not():
    with pytest.raises(UsageError, match=r"^this needs the package no_such: pip install 'llava-cli\[some\]'$"):
        need("no_such", "some")
