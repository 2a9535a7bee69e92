# SPDX-License-Identifier: Apache-2.0
"""A chat template (Jinja) of the user's own, read and looked through before anything else is done."""

from __future__ import annotations

import json
import os
from pathlib import Path

from llava_cli.errors import UsageError, first_line
from llava_cli.models.rendering import parent as rendering
from llava_cli.texts import read_text

_LONGEST = 80
"""How much of what is neither a file nor a template is quoted."""
_MOST_BYTES = 4 * rendering.MOST_TEMPLATE + 4
"""Of a file; one that has more is too long in any case."""


def read_template(given: str | os.PathLike[str]) -> str:
    """The text of a template: what a file holds, or what was given. A JSON file is one like chat_template.json.

    Raises:
        UsageError: there is no such file, it cannot be read, or the template is broken; told with the line.
    """
    name = os.fspath(given)
    if os.path.exists(name):  # noqa: PTH110 - Path raises for texts that no file can be called
        text = _content(Path(name))
    elif "{{" in name or "{%" in name:
        name, text = "the template", name
    else:
        shown = name if len(name) <= _LONGEST else f"{name[:_LONGEST]}…"
        raise UsageError(f"{shown}: no such file; and no template, which would have {{{{ or {{% in it")
    _check(name, text)
    return text


def _content(path: Path) -> str:
    text = read_text(path, _MOST_BYTES, "a chat template")
    try:
        content = json.loads(text)["chat_template"] if path.suffix == ".json" else text
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{path}: cannot be read as a chat template: {first_line(error)}") from error
    except (LookupError, TypeError) as error:
        raise UsageError(f"{path}: has no chat_template in it") from error
    if not isinstance(content, str):
        raise UsageError(f"{path}: its chat_template is not a text")
    return content


def _check(name: str, text: str) -> None:
    """Compile a template, with the tags that chat templates may have beside Jinja's own."""
    try:
        rendering.check(text)
    except rendering.TooCostly as error:
        raise UsageError(f"{name}: {error}") from error
    except rendering.TemplateFailed as error:  # what Jinja makes of it may be no Python
        told = f"line {error.line}" if error.line else "cannot be compiled"
        raise UsageError(f"{name}: {told}: {error}") from error
    except rendering.NotStarted as error:
        raise UsageError(f"{name}: cannot be looked through: {error}") from error
