# SPDX-License-Identifier: Apache-2.0
"""The commands, run in this process (fast) or as a program of their own (pipes, signals, terminals)."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from PIL import Image


@dataclass
class Result:
    code: int
    out: str
    err: str


@pytest.fixture(autouse=True)
def without_settings(no_settings: None) -> None:
    """No command sees the settings of whoever runs the tests."""


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


@pytest.fixture(scope="session")
def picture(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("pictures") / "picture.png"
    Image.linear_gradient("L").resize((90, 60)).convert("RGB").save(path)
    return path


@pytest.fixture(scope="session")
def files(tmp_path_factory, rendered) -> Path:
    """Videos and stills of several shapes, and two files that are neither."""
    folder = tmp_path_factory.mktemp("media")
    for name in ("h264", "vp9", "rotated_90", "one_frame"):
        shutil.copy(rendered(name), folder)
    for number, size in enumerate([(90, 60), (60, 200)]):
        Image.linear_gradient("L").rotate(90 * number).resize(size).convert("RGB").save(folder / f"still{number}.png")
    (folder / "empty.mp4").touch()
    (folder / "corrupt.mp4").write_bytes(b"\0\0\0\x20ftypisom" + b"\0" * 2000)
    return folder


@pytest.fixture
def report(llava: Callable[..., Result]) -> Callable[..., tuple[int, dict]]:
    """What `llava doctor` ends with, and its checks by name."""

    def examined(*options: str) -> tuple[int, dict]:
        result = llava("doctor", "--json", *options)
        return result.code, {check["name"]: check for check in json.loads(result.out)["checks"]}

    return examined
