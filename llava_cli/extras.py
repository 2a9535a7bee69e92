# SPDX-License-Identifier: Apache-2.0
"""Libraries that only some uses need: imported late, and missed with a line that says how to get them."""

from __future__ import annotations

import importlib
from typing import Any

from llava_cli.errors import UsageError


class NotInstalled(UsageError):
    """A library that an extra brings is not there."""


def need(module: str, extra: str) -> Any:
    """A module of a library that this package's extra of that name installs.

    Raises:
        NotInstalled: it is not there; the message says how to install it.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] != module.partition(".")[0]:
            raise
        raise NotInstalled(f"this needs the package {error.name!r}: pip install 'llava-cli[{extra}]'") from error
