# SPDX-License-Identifier: Apache-2.0
"""Where things are: each module's tests under its name, imports that go down only, libraries where they belong."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = "llava_cli"

TESTED_ELSEWHERE = {
    "llava_cli": "its names are those of the door for Python users: tests/test_api.py",
    "llava_cli.__main__": "one call; every test that starts a program of its own goes through it",
    "llava_cli.batch.writers": "says which writers are wanted: tests/batch/test_run.py",
    "llava_cli.batch.writers.writer": "declares what writers do",
    "llava_cli.batch.writers.each": "hands records on: tests/batch/test_run.py",
    "llava_cli.cli.batch_options": "declares options: test_help.py and test_caption.py",
    "llava_cli.cli.command": "what all commands share: test_help.py, test_failures.py and test_settings.py",
    "llava_cli.cli.file_list": "which files are read: tests/cli/test_caption.py and test_grep.py",
    "llava_cli.cli.limit_options": "declares options: test_help.py, test_ask.py and test_hostile.py",
    "llava_cli.cli.options": "declares options: test_help.py, test_ask.py and test_hostile.py",
    "llava_cli.cli.score_options": "declares options: tests/cli/test_ask.py, tests/cli/test_chat.py",
    "llava_cli.demo": "a path: tests/demo/test_checkpoint.py",
    "llava_cli.engine.pool.seam": "declares what pools, and places in them, take and give",
    "llava_cli.engine.types": "declares what engines take and give",
    "llava_cli.media": "its one function draws what tests/media/test_sheet.py checks",
    "llava_cli.media.errors": "declares exceptions, which leave the package as InputError",
}
"""Modules without tests under their own name, and why."""

# Each may import those of the lines above its own, and modules of its own package.
LAYERS = (
    ("llava_cli",),
    ("errors", "machine", "wrap", "demo", "words", "progress"),
    ("texts", "status", "stdin", "extras", "captions", "loops"),
    ("atomic", "bugs", "config", "hub"),
    ("remembered",),
    ("media",),
    ("models", "cues"),
    ("engine", "preface"),
    ("record", "request"),
    ("answer", "output"),
    ("session",),
    ("batch", "chat"),
    ("api", "evaluation"),
    ("bench",),
    ("cli", "demo.training"),
    ("__main__",),
)
LIBRARIES = {
    "torch": {"engine", "models", "bench", "demo.training"},
    "transformers": {"engine", "models", "bench", "demo.training"},
    "ray": {"engine"},
    "typer": {"cli"},
    "rich": {"status"},
    "openai": {"engine"},
    "llguidance": {"engine"},
}
"""Who may import what."""


@cache
def modules() -> dict[str, ast.Module]:
    """Every module of the program by its dotted name."""
    found = {}
    for path in (ROOT / PACKAGE).rglob("*.py"):
        parts = path.relative_to(ROOT).with_suffix("").parts
        found[".".join(parts).removesuffix(".__init__")] = ast.parse(path.read_bytes())
    return found


@cache
def imports(module: str) -> frozenset[str]:
    """What a module imports when it runs, in functions too: modules, where the name is one's, or else where from."""
    return frozenset(
        name if name in modules() or not dotted else name.rpartition(".")[0]
        for name, dotted in _imported(modules()[module])
    )


def _imported(node: ast.AST) -> Iterator[tuple[str, bool]]:
    """Dotted names, and whether the last part may be anything that a module holds."""
    if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
        return
    if isinstance(node, ast.Import):
        yield from ((alias.name, False) for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        assert not node.level, "imports name the whole module"
        yield from ((f"{node.module}.{alias.name}", True) for alias in node.names)
    for child in ast.iter_child_nodes(node):
        yield from _imported(child)


def part(module: str) -> str:
    """The part of the program that a module belongs to: the package's own, a file or a folder in it."""
    first, _, rest = module.removeprefix(f"{PACKAGE}.").partition(".")
    return "demo.training" if first == "demo" and rest.split(".")[0] == "training" else first


def declares_nothing(module: str) -> bool:
    """Whether it holds imports and its docstring, as the door of a package does."""
    return all(isinstance(node, ast.Import | ast.ImportFrom) or _is_note(node) for node in modules()[module].body)


def _is_note(node: ast.stmt) -> bool:
    names = [ast.unparse(target) for target in node.targets] if isinstance(node, ast.Assign) else []
    return names == ["__all__"] or (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant))


def home_of(module: str) -> Path:
    """Where its tests belong."""
    *folders, name = module.split(".")[1:] or [module]
    return ROOT.joinpath("tests", *folders, f"test_{name.strip('_')}.py")


def test_there_is_a_program_to_look_at():
    assert len(modules()) > 100
    assert "llava_cli.media.table" in imports("llava_cli.media.sampler")
    assert {"torch", "llava_cli.engine.device"} <= imports("llava_cli.cli.checks") | imports("llava_cli.engine.local")


def test_each_module_s_tests_stand_under_its_name():
    without = {name for name in modules() if not declares_nothing(name) and not home_of(name).exists()}
    assert without == set(TESTED_ELSEWHERE)


def test_each_part_of_the_program_has_its_layer():
    assert {part(name) for name in modules()} == {name for layer in LAYERS for name in layer}


def test_imports_go_down_only():
    level = {name: number for number, layer in enumerate(LAYERS) for name in layer}
    across = [(name, other) for name in modules() for other in imports(name) if other in modules()]
    assert [
        f"{name} imports {other}"
        for name, other in across
        if part(name) != part(other) and level[part(other)] >= level[part(name)]
    ] == []


def test_there_are_no_circles():
    graph = {name: {other for other in imports(name) if other in modules()} - {name} for name in modules()}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(" <- ".join(error.args[1]))


@pytest.mark.parametrize("library", LIBRARIES)
def test_libraries_stay_where_they_belong(library):
    users = {part(name) for name in modules() if library in {other.partition(".")[0] for other in imports(name)}}
    assert users
    assert users <= LIBRARIES[library]
