# SPDX-License-Identifier: Apache-2.0
"""Libraries that are not there are told with the command that brings them."""

from __future__ import annotations

import json
import sys

import pytest

from llava_cli.errors import UsageError
from llava_cli.extras import need


def test_what_is_installed_is_there():
    assert need("json", "any") is json


@pytest.mark.parametrize("module", ["no_such_library", "no_such_library.part"])
def test_what_is_missing_is_one_line_that_says_how_to_install_it(module):
    with pytest.raises(UsageError, match=r"needs the package 'no_such_library': pip install 'llava-cli\[some\]'"):
        need(module, "some")


def test_what_is_wrong_with_a_library_that_is_there_is_not_hidden(monkeypatch, tmp_path):
    (tmp_path / "half_there.py").write_text("import no_such_other")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(ModuleNotFoundError, match="no_such_other"):
        need("half_there", "some")
    assert "half_there" not in sys.modules
