# SPDX-License-Identifier: Apache-2.0
"""What was measured, for people, for programs and for README: always with the machine and the command."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from llava_cli.atomic import write_file
from llava_cli.bench.chart import Chart, draw
from llava_cli.bench.host import Host

SCHEMA_VERSION = 1


@dataclass(frozen=True)
class Report:
    """The outcome of one measurement."""

    name: str
    """What its files are called."""
    title: str
    host: Host
    command: str
    rows: Sequence[Mapping[str, Any]]
    """The figures, unrounded; a row for each that JSON has a line for."""
    tables: Sequence[Sequence[Sequence[str]]]
    """The same for people, the head of each first."""
    notes: Sequence[str]
    """How to read them: a sentence each."""
    chart: Chart

    def markdown(self) -> str:
        """For README."""
        about = f"**{self.title}** (`{self.command}`; {self.host})"
        return "\n\n".join([about, *map(_markdown, self.tables), *self.notes]) + "\n"

    def lines(self) -> str:
        """A line of JSON for each row, each of which stands for itself."""
        return "".join(json.dumps(self._about() | dict(row), ensure_ascii=False) + "\n" for row in self.rows)

    def save(self, folder: Path) -> None:
        """Write the figures, the table and the chart into a folder.

        Raises:
            OutputError: one cannot be written.
        """
        whole = self._about() | {"notes": list(self.notes), "rows": [dict(row) for row in self.rows]}
        write_file(folder / f"{self.name}.json", json.dumps(whole, ensure_ascii=False, indent=1).encode())
        write_file(folder / f"{self.name}.md", self.markdown().encode())
        draw(self.chart, str(self.host), folder / f"{self.name}.png")

    def _about(self) -> dict[str, Any]:
        return {
            "schema_version": SCHEMA_VERSION,
            "bench": self.name,
            "command": self.command,
            "machine": asdict(self.host),
        }


def _markdown(table: Sequence[Sequence[str]]) -> str:
    head, *rows = table
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
    return "\n".join(f"| {' | '.join(cell.replace('|', ' ') for cell in line)} |" for line in lines)


def ratio(value: float | None, base: float | None) -> float | None:
    """How many times `base` a value is; None where either is not known, or means nothing."""
    return value / base if value is not None and base else None


UNKNOWN = "-"


def times(value: float | None) -> str:
    """A ratio, for people."""
    if value is None:
        return UNKNOWN
    return f"{value:.2f}x" if value < 9.995 else f"{value:,.1f}x" if value < 99.95 else f"{value:,.0f}x"


def seconds(value: float | None) -> str:
    """A time, for people."""
    if value is None:
        return UNKNOWN
    return f"{value:.2f} s" if value >= 1 else f"{value * 1000:.3g} ms"
