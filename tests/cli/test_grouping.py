# SPDX-License-Identifier: Apache-2.0
"""Options in groups: what Typer sees of them, and what a command gets."""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from typing import Annotated

import pytest
import typer
from typer.testing import CliRunner

from llava_cli.cli.grouping import Without, expand_groups


@dataclass(frozen=True)
class Picture:
    width: Annotated[int, typer.Option(min=1)] = 4
    name: Annotated[str | None, typer.Option("--called", "-c")] = None
    grey: Annotated[bool, typer.Option("--grey")] = False


@dataclass(frozen=True)
class Framed(Picture):
    width: Annotated[int, typer.Option(min=2)] = 6
    border: Annotated[int, typer.Option()] = 1


@dataclass(frozen=True)
class Sound:
    volume: Annotated[float, typer.Option()] = 1.0


def options(command) -> dict[str, object]:
    parameters = inspect.signature(expand_groups(command)).parameters.values()
    return {parameter.name: parameter.default for parameter in parameters}


def run(command, *arguments: str):
    app = typer.Typer()
    app.command()(expand_groups(command))
    return CliRunner().invoke(app, arguments)


def test_options_stand_where_their_group_stands():
    def command(first: int = 0, *, picture: Picture, quiet: bool = False, sound: Sound) -> None: ...

    assert list(options(command).items()) == [
        ("first", 0), ("width", 4), ("name", None), ("grey", False), ("quiet", False), ("volume", 1.0),
    ]  # fmt: skip


def test_a_group_that_inherits_keeps_the_order_and_has_its_own_defaults():
    def command(*, picture: Framed) -> None: ...

    assert list(options(command).items()) == [("width", 6), ("name", None), ("grey", False), ("border", 1)]


def test_a_command_gets_its_groups():
    got = []

    def command(media: str, *, picture: Picture, quiet: bool = False, sound: Sound) -> None:
        got.append((media, picture, quiet, sound))

    assert run(command, "clip", "--width", "7", "-c", "x", "--quiet", "--volume", "2").exit_code == 0
    assert run(command, "clip").exit_code == 0
    assert got == [("clip", Picture(7, "x"), True, Sound(2.0)), ("clip", Picture(), False, Sound())]


def test_a_default_of_the_parameter_gives_the_options_defaults():
    got = []

    def command(*, picture: Picture = Picture(9, grey=True)) -> None:
        got.append(picture)

    assert options(command) == {"width": 9, "name": None, "grey": True}
    assert run(command, "-c", "x").exit_code == 0
    assert got == [Picture(9, "x", grey=True)]


def test_fields_left_out_are_no_options_and_keep_their_defaults():
    got = []

    def command(*, picture: Annotated[Picture, Without("width", "grey")] = Picture(9)) -> None:
        got.append(picture)

    assert options(command) == {"name": None}
    assert run(command, "--width", "7").exit_code == 2
    assert run(command, "-c", "x").exit_code == 0
    assert got == [Picture(9, "x")]


def test_a_group_may_be_called_as_one_of_its_fields_or_of_anothers():
    got = []

    def command(*, volume: Picture, width: Sound) -> None:
        got.append((volume, width))

    assert run(command, "--width", "7", "--volume", "2").exit_code == 0
    assert got == [(Picture(7), Sound(2.0))]


def test_what_typer_says_of_an_option_is_kept():
    def command(*, picture: Picture) -> None:
        """Draw."""

    assert expand_groups(command).__doc__ == "Draw."
    assert expand_groups(command).__name__ == "command"
    result = run(command, "--width", "0")
    assert result.exit_code == 2
    assert "'--width'" in result.output


def test_a_command_without_groups_is_as_it_was():
    got = []

    def command(media: str, quiet: bool = False) -> None:
        got.append((media, quiet))

    assert run(command, "clip", "--quiet").exit_code == 0
    assert got == [("clip", True)]


def test_mistakes_are_found_when_the_program_starts():
    def unknown(*, picture: Annotated[Picture, Without("height")]) -> None: ...
    def twice(*, picture: Picture, width: int = 1) -> None: ...

    with pytest.raises(TypeError, match="Picture has no height"):
        expand_groups(unknown)
    with pytest.raises(ValueError, match="width"):
        expand_groups(twice)
