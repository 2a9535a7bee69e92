# SPDX-License-Identifier: Apache-2.0
"""What is installed: all that users need, nothing of the demo checkpoint's training, on the Pythons that are tested."""

from __future__ import annotations

import ast
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from zipfile import ZipFile

import pytest

from llava_cli.demo import CHECKPOINT

ROOT = Path(__file__).parents[1]
TRAINING = ROOT / "llava_cli" / "demo" / "training"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    """The names of the files in the wheel that this checkout builds."""
    pytest.importorskip("hatchling")
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", folder]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    (path,) = folder.glob("*.whl")
    with ZipFile(path) as archive:
        return set(archive.namelist())


def files_outside_training() -> Iterator[Path]:
    for path in (ROOT / "llava_cli").rglob("*"):
        if path.is_file() and TRAINING not in path.parents and "__pycache__" not in path.parts:
            yield path


def test_the_package_is_whole_and_goes_without_the_training(wheel: set[str]) -> None:
    packed = {name for name in wheel if name.startswith("llava_cli/")}
    assert packed == {path.relative_to(ROOT).as_posix() for path in files_outside_training()}
    weights = (CHECKPOINT / "model.safetensors").relative_to(ROOT).as_posix()
    assert {"llava_cli/py.typed", "llava_cli/__main__.py", weights} <= packed
    assert not any("training" in name for name in wheel)


def test_man_pages_and_completions_are_in_it(wheel: set[str]) -> None:
    shared = PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["shared-data"]
    version = {name.partition(".data/")[0] for name in wheel if ".data/" in name}
    assert len(version) == 1
    assert {name.partition(".data/data/")[2] for name in wheel if ".data/" in name} == set(shared.values())
    assert any(place.startswith("share/man/man1/") for place in shared.values())
    assert any("completions" in place for place in shared.values())


def imported(path: Path) -> Iterator[str]:
    """The dotted names that a module imports, in functions too."""
    for node in ast.walk(ast.parse(path.read_bytes())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module or ''}.{alias.name}" for alias in node.names)


def test_nothing_outside_imports_the_training() -> None:
    modules = [path for path in files_outside_training() if path.suffix == ".py"]
    assert len(modules) > 50
    for path in modules:
        for name in imported(path):
            assert "training" not in name.split("."), path
    assert any("training" in name.split(".") for name in imported(TRAINING / "__main__.py"))


def test_the_pythons_that_are_promised_are_those_that_are_tested() -> None:
    label = "Programming Language :: Python :: 3."
    promised = [line.rpartition(" ")[2] for line in PROJECT["project"]["classifiers"] if line.startswith(label)]
    assert promised == PROJECT["tool"]["tox"]["env_list"]
    assert PROJECT["project"]["requires-python"] == f">={promised[0]}"
