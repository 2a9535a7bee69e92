# SPDX-License-Identifier: Apache-2.0
"""Completion scripts: the library's own are replaced wherever it writes one. What they do is in tests/test_pages.py."""

from __future__ import annotations

import subprocess
import sys

import pytest

from llava_cli.cli.completion import SCRIPTS


@pytest.mark.parametrize("shell", SCRIPTS)
def test_the_library_installs_and_shows_ours(shell, monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    program = (
        "from typer._completion_shared import install; import llava_cli.cli.app; "
        f"print(install({shell!r}, 'llava')[1].read_text())"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == SCRIPTS[shell].strip()
