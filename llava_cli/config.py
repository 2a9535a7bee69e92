# SPDX-License-Identifier: Apache-2.0
"""The user's defaults: a TOML file and environment variables, one key for each option that they may set.

A value comes from the command line, or else from `LLAVA_<KEY>`, or else from the file, or else from the program.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Collection
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from llava_cli.errors import UsageError

_PREFIX = "LLAVA_"


def config_path() -> Path:
    """Where the file is, if there is one."""
    from platformdirs import user_config_path

    return user_config_path("llava") / "config.toml"


def variable(key: str) -> str:
    """The environment variable that sets an option."""
    return _PREFIX + key.upper().replace("-", "_")


def check_variables(known: Collection[str]) -> None:
    """Look for variables that set nothing.

    Raises:
        UsageError: there is a `LLAVA_…` that is not of a `known` key.
    """
    names = {variable(key).removeprefix(_PREFIX) for key in known}
    for name in os.environ:
        own = name.removeprefix(_PREFIX)
        if own != name and own not in names:
            raise UsageError(f"unknown variable {name}; {_meant(own, names, _PREFIX, 'variables')}")


def read_config(known: Collection[str]) -> dict[str, str | int | float | bool]:
    """The file's values by key; {} where there is no file.

    Raises:
        UsageError: the file is not valid TOML, or has a key that is not `known`, or a value that no option takes.
    """
    path = config_path()
    try:
        content = tomllib.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise UsageError(f"{path}: cannot be read: {error.strerror}") from error
    except ValueError as error:  # not TOML, or not UTF-8
        raise UsageError(f"{path}: is not valid TOML: {error}") from error
    for key, value in content.items():
        _check(key, value, known, path)
    return content


def _check(key: str, value: Any, known: Collection[str], path: Path) -> None:
    if key not in known:
        raise UsageError(f"{path}: unknown key {key!r}; {_meant(key.replace('_', '-'), known, '', 'keys')}")
    if not isinstance(value, str | int | float | bool):
        raise UsageError(f"{path}: {key}: must be a string, a number, true or false")


def _meant(name: str, known: Collection[str], prefix: str, kind: str) -> str:
    close = get_close_matches(name, known, 1)
    if close:
        return f"did you mean {prefix + close[0]!r}?"
    return f"known {kind}: {', '.join(prefix + one for one in sorted(known))}"
