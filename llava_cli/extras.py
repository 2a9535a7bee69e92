# SPDX-License-Identifier: Apache-2.0
"""Libraries that only some need: imported where they are needed, and missed in one line."""

from __future__ import annotations

from importlib import import_module

from llava_cli.errors import UsageError


class NotInstalled(UsageError):
    """A library that an extra brings is not there."""


def need(module: str, extra: str) -> None:
    """Import a library that an extra brings.

    Raises:
        NotInstalled: it is not there; the message says how to install it.
    """
    try:
        import_module(module)
    except ImportError as error:
        raise NotInstalled(f"this needs the package {module}: pip install 'llava-cli[{extra}]'") from error
