# SPDX-License-Identifier: Apache-2.0
"""Reading lines from the user: edited, completed and remembered on a terminal, plain from a pipe."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from glob import escape, glob
from io import TextIOWrapper
from pathlib import Path

_PROMPT = "> "
_REMEMBERED_LINES = 1000


def questions(commands: Sequence[str], interactive: bool) -> Iterator[str]:
    """The user's lines without empty ones, until the input ends."""
    if isinstance(sys.stdin, TextIOWrapper):  # bytes that are no text are for whoever takes the line to refuse
        sys.stdin.reconfigure(errors="surrogateescape")
    lines = _typed(commands) if interactive else iter(sys.stdin)
    for line in lines:
        if line.strip():
            yield line.strip()


def _typed(commands: Sequence[str]) -> Iterator[str]:
    with _line_editing(commands):
        while True:
            try:
                yield _read_line()
            except KeyboardInterrupt:  # at the prompt it only drops what was typed
                sys.stderr.write("\n")
            except EOFError:
                sys.stderr.write("\n")
                return


def _read_line() -> str:
    """One line. The prompt goes to stderr: stdout may be a file that collects the answers."""
    sys.stderr.flush()
    if sys.stdout.isatty():
        return input(_PROMPT)
    sys.stderr.write(_PROMPT)
    sys.stderr.flush()
    line = sys.stdin.readline()
    if not line:
        raise EOFError
    return line


@contextmanager
def _line_editing(commands: Sequence[str]) -> Iterator[None]:
    """Arrow keys, history over sessions, and TAB for commands and file names, where Python was built with readline."""
    try:
        import readline
    except ImportError:
        yield
        return
    readline.set_history_length(_REMEMBERED_LINES)
    readline.set_completer_delims(" \t\n")
    readline.set_completer(lambda text, state: _completion(text, state, commands))
    readline.parse_and_bind("tab: complete")
    path = _history_file()
    with suppress(OSError):
        readline.read_history_file(path)
    try:
        yield
    finally:
        with suppress(OSError):
            readline.write_history_file(path)
            path.chmod(0o600)


def _completion(text: str, state: int, commands: Sequence[str]) -> str | None:
    names = [command for command in commands if command.startswith(text)]
    if not names:
        pattern = escape(os.path.expanduser(text)) + "*"  # noqa: PTH111 - what was typed may end with a slash
        names = sorted(name + "/" * os.path.isdir(name) for name in glob(pattern))  # noqa: PTH112, PTH207
    return names[state] if state < len(names) else None


def _history_file() -> Path:
    from platformdirs import user_state_path

    folder = user_state_path("llava")
    with suppress(OSError):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder / "chat-history"
