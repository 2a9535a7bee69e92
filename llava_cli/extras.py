# SPDX-License-Identifier: Apache-2.0
"""Libraries that only some uses need: imported late, and missed with a line that says how to get them."""

from __future__ import annotations

from importlib.util import find_spec

from llava_cli.errors import UsageError


def need(module: str, extra: str) -> None:
    """Make sure that a library is installed; it is not imported yet.

    Raises:
        UsageError: it is not; the message says how to install it.
    """
    if find_spec(module) is None:
        raise UsageError(f"this needs the package {module}: pip install 'llava-cli[{extra}]'")
