# SPDX-License-Identifier: Apache-2.0
"""The commands, run in this process (fast) or as a program of their own (pipes, signals, terminals)."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest


@dataclass
class Result:
    code: int
    out: str
    err: str


@pytest.fixture(autouse=True)
def no_settings(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Keep the settings of whoever runs the tests out of them."""
    for name in [name for name in os.environ if name.startswith("LLAVA_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path_factory.getbasetemp() / "no-config"))


@pytest.fixture(scope="session")
def tiny(checkpoints: Callable[[str], Path]) -> Path:
    """A checkpoint whose answers mean nothing, but which answers."""
    return checkpoints("llava-next-video")


@pytest.fixture
def llava(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Callable[..., Result]:
    """Run the command line in this process; media are decoded in their own, as always."""

    def run(*arguments: str | Path) -> Result:
        from llava_cli.cli.app import _run

        monkeypatch.setattr(sys, "argv", ["llava", *map(str, arguments)])
        capfd.readouterr()
        code = _run()
        sys.stdout.flush()
        sys.stderr.flush()
        out, err = capfd.readouterr()
        return Result(int(code), out, err)

    return run


def program(*arguments: str | bytes | Path, **options: object) -> subprocess.CompletedProcess[bytes]:
    """Run the command line as a program."""
    command = [sys.executable, "-m", "llava_cli", *(a if isinstance(a, bytes) else str(a) for a in arguments)]
    options.setdefault("stdin", subprocess.DEVNULL)
    return subprocess.run(
        command, capture_output=True, timeout=120, env=os.environ | {"TERM": "dumb", "COLUMNS": "100"}, **options
    )


@pytest.fixture
def as_program() -> Callable[..., subprocess.CompletedProcess[bytes]]:
    return program
