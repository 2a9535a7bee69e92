# SPDX-License-Identifier: Apache-2.0
"""Help pages from the commands' declarations: a summary of one screen (`-h`), and everything in groups (`--help`).

Both are laid out for the window they are read in. The man pages are made of the same parts.
"""

from __future__ import annotations

import inspect
import re
import shutil
import textwrap
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from typing import Any, get_args

_NARROWEST, _WIDEST = 20, 100
"""Columns of a page."""
_TERM = 26
"""Columns of the longest term that its text stands beside; longer ones are followed by it."""
_LEGIBLE = 30
"""Columns that a text must have beside its term."""


class Common:
    """Marks an option as one that people use: the summary shows it.

    It stands in the option's annotation: `Annotated[int, typer.Option(...), COMMON]`.
    """


COMMON = Common()


def columns() -> int:
    """How wide a page is."""
    return max(_NARROWEST, min(shutil.get_terminal_size().columns, _WIDEST))


def summary(command: Any, ctx: Any, width: int) -> str:
    """Usage, one sentence, three examples, the options that people use, and where the rest is."""
    path = ctx.command_path
    common = [row for param, row in _rows(command, ctx) if _is_common(command, param)]
    sections = [
        [*_usage(command, ctx, width), *_wrapped(first_sentence(command), width)],
        _section("Examples", _examples(examples(command)[:3], width)),
        _section("Options", definitions(common, width)),
        _section("Commands", definitions(_commands(command), width)),
        _wrapped(f"All options: {path} --help. Manual: man {path.replace(' ', '-')}", width),
    ]
    return _page(sections)


def reference(command: Any, ctx: Any, width: int) -> str:
    """Usage, what it does, examples, and then everything in groups."""
    about = inspect.cleandoc(command.help or "").split("\n\n")
    sections = [
        _usage(command, ctx, width),
        *(_wrapped(paragraph, width) for paragraph in about),
        _section("Examples", _examples(examples(command), width)),
        *(_section(name, definitions(rows, width)) for name, rows in groups(command, ctx)),
        _section("Commands", definitions(_commands(command), width)),
    ]
    return _page(sections)


def overview(command: Any, steps: Iterable[tuple[str, str]], width: int) -> str:
    """What a program does, and first steps with it."""
    path = command.name
    sections = [
        _wrapped(first_sentence(command), width),
        definitions(steps, width, widest_term=width),
        _wrapped(f"All commands: {path} --help. One of them: {path} COMMAND -h. Manual: man {path}", width),
    ]
    return _page(sections)


def usage(command: Any, ctx: Any, width: int) -> str:
    """How a command is called."""
    return "\n".join(_usage(command, ctx, width))


def examples(command: Any) -> list[str]:
    """The command lines of a command's epilog: its indented lines."""
    return [line.strip() for line in (command.epilog or "").splitlines() if line.startswith("  ")]


def groups(command: Any, ctx: Any) -> list[tuple[str, list[tuple[str, str]]]]:
    """The arguments and options of a command in named groups, each as (how it is written, what it does)."""
    named = [(_group(param), row) for param, row in _rows(command, ctx)]
    order = list(dict.fromkeys(["Arguments", "Options", *(name for name, _ in named)]))
    by_group = sorted(named, key=lambda pair: order.index(pair[0]))
    return [(name, [row for _, row in pairs]) for name, pairs in groupby(by_group, key=lambda pair: pair[0])]


def first_sentence(command: Any) -> str:
    """What a command does, in one sentence."""
    return " ".join(inspect.cleandoc(command.help or "").split("\n\n")[0].split())


def long_name(option: Any) -> str:
    """An option as it is spelt out: `--frames`."""
    return str(max(option.opts, key=len))


def definitions(rows: Iterable[tuple[str, str]], width: int, widest_term: int = _TERM) -> list[str]:
    """Lines of terms with their texts beside them, or below where a term is long or the window narrow."""
    rows = list(rows)
    longest = max((len(term) for term, _ in rows if len(term) <= widest_term), default=0)
    if width - longest - 4 < _LEGIBLE:
        longest = 0
    indent = " " * (longest + 4 if longest else 6)
    lines = []
    for term, text in rows:
        below = _wrapped(text, width, indent, indent)
        if len(term) <= longest:
            lines.append(f"  {term}".ljust(len(indent)) + below.pop(0).lstrip())
        else:
            lines += _wrapped(term, width, "  ", "    ") if term.startswith("-") else _command_line(term, width)
        lines += below
    return lines


def _rows(command: Any, ctx: Any) -> Iterator[tuple[Any, tuple[str, str]]]:
    """Each parameter that is not hidden, with how it is written and what it does."""
    for param in command.get_params(ctx):
        if not param.hidden:
            default = _default(param)
            yield param, (_term(param), f"{param.help or ''}{f'  [default: {default}]' if default else ''}")


def _term(param: Any) -> str:
    if param.param_type_name == "argument":
        return str(param.metavar)
    written = " / ".join([", ".join(sorted(param.opts, key=len)), *param.secondary_opts])
    return written if param.is_flag else f"{written} {param.metavar}"


def _default(param: Any) -> str | None:
    """What is said of a parameter's default: in the declaration's words, or its value where it has one."""
    if isinstance(param.show_default, str):
        return param.show_default
    if not param.show_default or param.default in (None, False):
        return None
    if param.default is True:
        return "on"
    return f"{param.default:g}" if isinstance(param.default, float) else str(param.default)


def _group(param: Any) -> str:
    if param.param_type_name == "argument":
        return "Arguments"
    return getattr(param, "rich_help_panel", None) or "Options"


def _is_common(command: Any, param: Any) -> bool:
    declared = inspect.signature(command.callback).parameters.get(param.name)
    return declared is not None and COMMON in get_args(declared.annotation)


def _commands(command: Any) -> list[tuple[str, str]]:
    below = getattr(command, "commands", {})
    return [(name, first_sentence(child)) for name, child in below.items() if not child.hidden]


def _usage(command: Any, ctx: Any, width: int) -> list[str]:
    pieces = " ".join(command.collect_usage_pieces(ctx))
    return _wrapped(f"Usage: {ctx.command_path} {pieces}", width, "", "    ")


def _examples(lines: Sequence[str], width: int) -> list[str]:
    return [line for example in lines for line in _command_line(example, width)]


def _command_line(line: str, width: int) -> list[str]:
    """A command line, broken so that it can still be pasted into a shell."""
    quoted = re.sub(r"'[^']*'|\"[^\"]*\"", lambda text: text[0].replace(" ", "\0"), line)
    *before, last = (text.replace("\0", " ") for text in _wrapped(quoted, width - 2, "  ", "      "))
    return [*(f"{text} \\" for text in before), last]


def _section(title: str, lines: list[str]) -> list[str]:
    return [f"{title}:", *lines] if lines else []


def _page(sections: Iterable[list[str]]) -> str:
    return "\n\n".join("\n".join(lines) for lines in sections if lines)


def _wrapped(text: str, width: int, first: str = "", rest: str = "") -> list[str]:
    return textwrap.wrap(
        text,
        width,
        initial_indent=first,
        subsequent_indent=rest,
        break_long_words=False,
        break_on_hyphens=False,
    )
