# SPDX-License-Identifier: Apache-2.0
"""Writes the man pages and the shell completions, from the commands as they are: `python -m man.make`.

What it writes is checked in and goes into the wheel; a test fails when it is stale.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from inspect import cleandoc
from pathlib import Path
from typing import Any

import typer

from llava_cli import __version__
from llava_cli.cli import chat
from llava_cli.cli.app import app
from llava_cli.cli.command import HELP, all_configurable, walk
from llava_cli.cli.completion import SCRIPTS
from llava_cli.cli.help import examples, first_sentence, groups
from llava_cli.config import variable
from man import scale
from man.record import ABOUT, CONVERSATIONS, ERROR_CODES, KEYS, LEDGER, LEDGER_ABOUT, LIST_KEYS

ROOT = Path(__file__).parents[1]

EXIT_STATUS = [
    ("0", "what was asked for is done"),
    (
        "1",
        "some jobs of a list failed; an answer was cut off before it fitted its --schema, --regex or --grammar; grep: "
        "nothing matches; demo: an answer was wrong; doctor: there is a problem; any command: who read its output has "
        "gone",
    ),
    ("2", "a mistake in the command line or the configuration, or media that do not fit into the context"),
    ("3", "a file cannot be read, or has no video or image in it"),
    ("4", "the checkpoint cannot be found, reached or used"),
    ("5", "too little memory"),
    ("6", "the result cannot be written"),
    ("70", "a bug in llava; the path of a log is printed"),
    ("130, 143", "interrupted, terminated"),
]
ENVIRONMENT = [
    ("HF_HOME, HF_HUB_CACHE", "where checkpoints are stored"),
    ("HF_TOKEN", "for checkpoints with restricted access"),
    ("HF_HUB_OFFLINE", "1: never use the network"),
    ("OPENAI_API_KEY", "the key of the server that --endpoint names; it is sent to that server only, and kept nowhere"),
    ("NO_COLOR, TERM=dumb", "no colour, no progress bars"),
    ("CUDA_VISIBLE_DEVICES", "the GPUs that may be used"),
]
FILES = [
    ("$XDG_CONFIG_HOME/llava/config.toml", 'defaults: a key for each variable below, e.g. model = "onevision-7b"'),
    ("$XDG_STATE_HOME/llava/", "crash logs, and the history of llava chat"),
    ("$XDG_CACHE_HOME/llava/", "files written by llava demo"),
]


def pages() -> dict[str, str]:
    """All man pages by file name."""
    root = typer.main.get_command(app)
    every = list(walk(root))
    made = {f"{name.replace(' ', '-')}.1": _page(name, command, root, every) for name, command in every}
    return made | {"llava-record.5": _record_page(), "llava-scale.7": scale.page()}


def completions() -> dict[str, str]:
    """The shells' completion scripts by file name."""
    names = {"bash": "llava.bash", "zsh": "_llava", "fish": "llava.fish"}
    return {names[shell]: f"{script.strip()}\n" for shell, script in SCRIPTS.items()}


def _page(name: str, command: Any, root: Any, every: Sequence[tuple[str, Any]]) -> str:
    ctx = typer.Context(command, info_name=name, help_option_names=list(HELP))
    page, about = name.replace(" ", "-"), cleandoc(command.help or "").split("\n\n")
    lines = [_title(page, 1), ".SH NAME", f"{_text(page)} \\- {_text(_short(command))}"]
    lines += [".SH SYNOPSIS", f".B {_text(name)}", _text(" ".join(command.collect_usage_pieces(ctx)))]
    lines += [".SH DESCRIPTION", *_paragraphs(about)]
    if examples(command):
        lines += [".SH EXAMPLES", ".nf", *(_text(line) for line in examples(command)), ".fi"]
    for title, rows in groups(command, ctx):
        lines += [f".SH {_text(title.upper())}", *_definitions(rows)]
    below = [(child, c) for child, c in every if child.rpartition(" ")[0] == name]
    if below:
        lines += [".SH COMMANDS", *_definitions((child, _short(c)) for child, c in below)]
    if name == "llava chat":
        lines += [".SH AT THE PROMPT", ".nf", *(_text(line) for line in chat.HELP.splitlines()), ".fi"]
    if command is root:
        lines += [".SH EXIT STATUS", *_definitions(EXIT_STATUS), ".SH FILES", *_definitions(FILES)]
        lines += [
            ".SH ENVIRONMENT",
            _text("Options override variables, which override the configuration file."),
        ]
        lines += [*_definitions(_variables(root)), *_definitions(ENVIRONMENT)]
    others = [other.replace(" ", "-") for other, _ in every if other != name]
    lines += [".SH SEE ALSO", *_see_also([*((other, 1) for other in others), ("llava-record", 5)])]
    return "\n".join(lines) + "\n"


def _variables(root: Any) -> Iterable[tuple[str, str]]:
    """Each configurable option's variable, and what the option says of itself."""
    for key, option in sorted(all_configurable(root).items()):
        yield variable(key), option.help


def _record_page() -> str:
    name = f"{_text('llava-record')} \\- the JSON record of an answer"
    lines = [_title("llava-record", 5), ".SH NAME", name]
    lines += [".SH DESCRIPTION", *_paragraphs(ABOUT), ".SH KEYS", *_definitions(KEYS)]
    lines += [".SH ERRORS", *_definitions(ERROR_CODES)]
    lines += [".SH LISTS", "The records of llava caption and llava batch have more keys.", *_definitions(LIST_KEYS)]
    lines += [".SH CONVERSATIONS", *_paragraphs(CONVERSATIONS)]
    lines += [".SH LEDGERS", *_paragraphs(LEDGER_ABOUT)]
    lines += [line for number, words in enumerate(LEDGER, 1) for line in (f".IP {number}. 4", _text(words))]
    lines += [".SH EXAMPLES", ".nf", _text("llava ask clip.mp4 \"What happens?\" --json | jq -r '.answer // empty'")]
    lines += [_text("llava ask clip.mp4 \"What happens?\" --json | jq -r '.media[].frames[]?.time'"), ".fi"]
    return (
        "\n".join(
            [
                *lines,
                ".SH SEE ALSO",
                *_see_also([("llava", 1), ("llava-ask", 1), ("llava-caption", 1), ("llava-batch", 1)]),
            ]
        )
        + "\n"
    )


def _title(name: str, section: int) -> str:
    return f'.TH {_text(name.upper())} {section} "" "llava {__version__}" "llava"'


def _short(command: Any) -> str:
    """What a command does, as NAME wants it: no capital, no full stop."""
    first = first_sentence(command).rstrip(".")
    return first[:1].lower() + first[1:]


def _see_also(pages: Sequence[tuple[str, int]]) -> list[str]:
    last = len(pages) - 1
    return [f".BR {_text(name)} ({section}){',' if i < last else ''}" for i, (name, section) in enumerate(pages)]


def _paragraphs(paragraphs: Iterable[str]) -> list[str]:
    return [line for paragraph in paragraphs for line in (".PP", _text(" ".join(paragraph.split())))]


def _definitions(rows: Iterable[tuple[str, str]]) -> list[str]:
    return [line for term, what in rows for line in (".TP", f".B {_text(term)}", _text(" ".join(what.split())))]


def _text(text: str) -> str:
    """Plain text as roff: nothing in it is taken for a request, and quotes, dashes and tildes can be copied."""
    signs = {"\\": "\\e", "-": "\\-", "'": "\\(aq", "`": "\\(ga", "^": "\\(ha", "~": "\\(ti", '"': "\\(dq"}
    escaped = "".join(signs.get(c) or (c if ord(c) < 128 else f"\\[u{ord(c):04X}]") for c in text)
    return re.sub(r"^\.", r"\\&.", escaped)


def main() -> None:
    """Write everything, and remove what no command makes any more."""
    for folder, files in ((ROOT / "man", pages()), (ROOT / "completions", completions())):
        folder.mkdir(exist_ok=True)
        for old in folder.iterdir():
            if old.suffix in (".1", ".5", ".bash", ".fish") and old.name not in files:
                old.unlink()
        for name, content in files.items():
            (folder / name).write_text(content, "utf-8")


if __name__ == "__main__":
    main()
