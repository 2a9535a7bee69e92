# SPDX-License-Identifier: Apache-2.0
"""Libraries behind an extra: missed with the line that installs them."""

from __future__ import annotations

import pytest

from llava_cli.errors import UsageError
from llava_cli.extras import need


def test_what_is_missing_is_told_with_what_installs_it():
    need("json", "scenes")
    with pytest.raises(
        UsageError, match=r"no_such_module is not installed; pip install 'llava-cli\[scenes\]' installs it"
    ):
        need("no_such_module", "scenes")
