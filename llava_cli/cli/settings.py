# SPDX-License-Identifier: Apache-2.0
"""The user's settings, and where each value comes from."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from llava_cli.cli.checks import Check
from llava_cli.config import check_variables, config_path, read_config
from llava_cli.errors import UsageError


def settings(known: Mapping[str, Any]) -> tuple[list[dict[str, Any]], list[Check]]:
    """Every setting as key, value and source, and what there is to say of the file."""
    path = config_path()
    file: Mapping[str, Any] = {}
    try:
        file = read_config(known)
        check_variables(known)
        said = Check("configuration", "ok", f"{path}" if file else f"none ({path} does not exist or is empty)")
    except UsageError as error:
        said = Check("configuration", "problem", str(error), "correct it, or remove it")
    return [_setting(key, option, file, str(path)) for key, option in sorted(known.items())], [said]


def _setting(key: str, option: Any, file: Mapping[str, Any], path: str) -> dict[str, Any]:
    value, source = option.default, "default"
    if key in file:
        value, source = file[key], path
    if os.environ.get(option.envvar):
        value, source = os.environ[option.envvar], option.envvar
    return {"key": key, "value": value, "source": source}
