# SPDX-License-Identifier: Apache-2.0
"""`llava demo`."""


def demo() -> None:
    """Run the built-in demonstration."""
