# SPDX-License-Identifier: Apache-2.0
"""Help: a summary of one screen, everything in groups, both from the same declarations and for any window."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from typing import Any

import pytest
import typer

from llava_cli.cli import help
from llava_cli.cli.app import app
from llava_cli.cli.command import walk
from llava_cli.errors import UsageError
from man import make

COMMANDS = dict(walk(typer.main.get_command(app)))
WIDTHS = (40, 60, 80, 120)
NONSENSE = ("some", "-1", "nan", "1e999", "9" * 5000, "", " ", "3:2:1:0", "\N{ARABIC-INDIC DIGIT FOUR}x")

LIBRARY_WORDS = r"Value error|Input should|Exceeds|Invalid value|92233720"

each_command = pytest.mark.parametrize("name", COMMANDS)


@pytest.fixture
def page(llava, monkeypatch) -> Callable[..., str]:
    """What a command prints in a window of so many columns."""

    def shown(name: str, *arguments: str, columns: int = 80) -> str:
        monkeypatch.setenv("COLUMNS", str(columns))
        result = llava(*name.split()[1:], *arguments)
        assert (result.code, result.err) == (0, "")
        return result.out

    return shown


def options(name: str) -> dict[str, str]:
    """Every option of a command as help writes it, and its text."""
    context = typer.Context(COMMANDS[name], info_name=name, help_option_names=["-h", "--help"])
    return {
        term: text for title, rows in help.groups(COMMANDS[name], context) for term, text in rows if "-" in term[:1]
    }


def written(page: str) -> list[tuple[str, str]]:
    """The options on a page, each with its text."""
    entries: list[list[str]] = []
    for line in page.splitlines():
        if found := re.match(r"  (-.+?)(?:  +(.*))?$", line):
            entries.append([found[1], found[2] or ""])
        elif entries and line.startswith("      "):
            entries[-1][1] += f" {line}"
    return [(term, " ".join(text.split())) for term, text in entries]


@each_command
def test_a_summary_is_one_screen(page, name):
    lines = page(name, "-h").splitlines()
    assert len(lines) <= 24
    assert lines[0].startswith(f"Usage: {name}")
    assert help.first_sentence(COMMANDS[name]).startswith(lines[1])
    assert 2 <= sum(f"  {example}" in lines for example in help.examples(COMMANDS[name])) <= 3 or "\\" in " ".join(
        lines
    )
    assert lines[-1] == f"All options: {name} --help. Manual: man {name.replace(' ', '-')}"


@each_command
def test_a_summary_has_some_of_the_options_with_their_texts(page, name):
    everything = {(term, " ".join(text.split())) for term, text in options(name).items()}
    assert set(written(page(name, "-h"))) < everything


@pytest.mark.parametrize("name", ["llava ask", "llava caption", "llava batch"])
def test_a_summary_has_the_options_that_people_use(page, name):
    terms = [term for term, _ in written(page(name, "-h"))]
    assert 8 <= len(terms) <= 14
    assert {"-m, --model NAME", "-n, --frames N", "-o, --output FILE"} <= set(terms)


@each_command
def test_everything_is_in_the_reference_and_in_the_man_page(page, name):
    reference, manual = page(name, "--help"), make.pages()[f"{name.replace(' ', '-')}.1"].replace("\\-", "-")
    assert written(reference) == [(term, " ".join(text.split())) for term, text in options(name).items()]
    for param in COMMANDS[name].params:
        for spelling in [*param.opts, *param.secondary_opts] if param.param_type_name == "option" else [param.metavar]:
            assert spelling in reference
            assert spelling in manual
    for child in getattr(COMMANDS[name], "commands", {}).values():
        assert help.first_sentence(child) in " ".join(reference.split())


@each_command
@pytest.mark.parametrize("columns", WIDTHS)
@pytest.mark.parametrize("arguments", [["-h"], ["--help"]])
def test_no_line_is_wider_than_the_window(page, name, columns, arguments):
    check_width(page(name, *arguments, columns=columns), columns)


@pytest.mark.parametrize("columns", WIDTHS)
def test_the_first_page_fits_the_window_too(page, columns):
    shown = page("llava", columns=columns)
    check_width(shown, columns)
    assert "llava COMMAND -h" in " ".join(shown.split())


def check_width(page: str, columns: int) -> None:
    """Only what the shell takes as one word may be wider."""
    for line in page.splitlines():
        words = re.findall(r"(?:'[^']*'|\"[^\"]*\"|\S)+", line.removesuffix("\\"))
        assert len(line) <= columns or len(words) == 1, line


@each_command
@pytest.mark.parametrize("columns", WIDTHS)
def test_broken_examples_can_be_pasted(page, name, columns):
    assert set(help.examples(COMMANDS[name])) <= pasted(page(name, "--help", columns=columns))


def pasted(page: str) -> set[str]:
    """The indented lines of a page, as a shell joins them."""
    return {line.strip() for line in re.sub(r"\s*\\\n\s*", " ", page).splitlines() if line.startswith("  ")}


def test_help_in_a_window_of_no_size_or_an_enormous_one(page):
    assert page("llava ask", "-h", columns=1)
    assert max(map(len, page("llava ask", "--help", columns=1000).splitlines())) <= 100


@each_command
def test_help_is_in_users_words(page, name):
    shown = page(name, "--help")
    assert not re.search(r"<|range|INTEGER|\d{10}|None|x>=|600\.0", shown.replace("<video> and <image>", ""))
    unnamed = [
        param.opts for param in COMMANDS[name].params if not getattr(param, "is_flag", False) and not param.metavar
    ]
    assert unnamed == []


def test_defaults_are_written_as_they_would_be_typed(page):
    shown = " ".join(page("llava ask", "--help").split())
    for text in (
        "--timeout SECONDS Longest time for decoding a file. [default: 600]",
        "[default: 2G]",
        "[default: 256]",
    ):
        assert text in shown
    assert "[default: on]" in page("llava doctor", "--help")
    assert "[default: demo]" in page("llava bench batch", "--help")


@each_command
def test_no_library_words_reach_the_user(name):
    arguments = ["x" for param in COMMANDS[name].params if param.param_type_name == "argument"]
    messages = []
    for param in COMMANDS[name].params:
        for value in NONSENSE if param.metavar and param.param_type_name == "option" else ():
            try:
                COMMANDS[name].make_context(name, [*arguments, param.opts[-1], value])
            except UsageError as error:
                messages.append(str(error))
                assert max(param.opts, key=len) in messages[-1]
    assert len(messages) > 30 or "--model" not in str(options(name))
    assert [text for text in messages if len(text) > 250 or re.search(LIBRARY_WORDS, text)] == []


def test_a_flag_that_a_variable_sets_to_nonsense_is_told_in_our_words(llava, monkeypatch):
    monkeypatch.setenv("LLAVA_4BIT", "maybe")
    result = llava("ask", "x.mp4", "Why?")
    assert result.code == 2
    assert "must be true or false (set by LLAVA_4BIT)" in result.err


def test_a_usage_error_points_to_the_summary(llava):
    assert llava("ask", "--nope").err == "llava: no such option: --nope; see llava ask -h\n"


def test_asking_for_help_reads_no_settings(llava, monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    (tmp_path / "llava").mkdir()
    (tmp_path / "llava" / "config.toml").write_text("broken")
    assert [llava("ask", *way).code for way in (["-h"], ["--help"], ["-q", "-h"])] == [0, 0, 0]
    assert os.listdir(tmp_path / "llava") == ["config.toml"]


def test_choices_complete_though_we_read_them_ourselves():
    context: Any = typer.Context(COMMANDS["llava caption"])
    (sidecar,) = [param for param in COMMANDS["llava caption"].params if "--sidecar" in param.opts]
    assert [item.value for item in sidecar.shell_complete(context, "j")] == ["json"]
