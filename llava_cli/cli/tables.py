# SPDX-License-Identifier: Apache-2.0
"""Tables of text, for terminals and pipes."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from llava_cli.words import one_line


def table(
    rows: Sequence[Sequence[str]], align: Callable[[str, int], str] = str.rjust, indent: str = "", least: int = 0
) -> str:
    """The rows, the first of which is the head, in columns that are as wide as they have to be.

    Args:
        rows: of any texts: none of them can do anything to a terminal, or begin another line.
        align: `str.rjust` or `str.ljust`.
        least: columns of the terminal that each column of the table has at least.
    """
    rows = [[one_line(cell) for cell in row] for row in rows]
    widths = [max(least, *map(len, column)) for column in zip(*rows, strict=True)]
    lines = ("  ".join(map(align, row, widths)).rstrip() for row in rows)
    return "".join(f"{indent}{line}\n" for line in lines)
