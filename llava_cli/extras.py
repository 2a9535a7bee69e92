# SPDX-License-Identifier: Apache-2.0
"""Libraries that only some uses need: not installed with the program, and missed with a line that says how to."""

from __future__ import annotations

from importlib.util import find_spec

from llava_cli.errors import UsageError


def need(module: str, extra: str) -> None:
    """Make sure that a library is installed; it is not imported yet.

    Raises:
        UsageError: it is not.
    """
    if find_spec(module) is None:
        raise UsageError(f"{module} is not installed; pip install 'llava-cli[{extra}]' installs it")
