# SPDX-License-Identifier: Apache-2.0
"""The figures of an answer, each beside the best that the machine could do, and beside plain transformers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from llava_cli.bench.chart import Bar, Chart
from llava_cli.bench.report import UNKNOWN, ratio, seconds, times
from llava_cli.engine.memory import GIB

Unit = Literal["s", "tokens/s", "bytes"]

HEAD = ("", "llava", "floor", "of the floor", "transformers", "gain")
"""Of a table of stages."""


@dataclass(frozen=True)
class Stage:
    """One figure of an answer; None where it is not known."""

    name: str
    unit: Unit
    ours: float | None
    floor: float | None = None
    """The least that it can be on this machine; of tokens a second, the most."""
    plain: float | None = None
    """The same of plain transformers."""

    @property
    def over_floor(self) -> float | None:
        """How many times the floor: 1 is as good as can be."""
        return ratio(self.floor, self.ours) if self.unit == "tokens/s" else ratio(self.ours, self.floor)

    @property
    def gain(self) -> float | None:
        """How many times better than plain transformers."""
        return ratio(self.ours, self.plain) if self.unit == "tokens/s" else ratio(self.plain, self.ours)

    def row(self) -> dict[str, Any]:
        """For programs."""
        return {
            "stage": self.name,
            "unit": self.unit,
            "llava": self.ours,
            "floor": self.floor,
            "transformers": self.plain,
            "over_floor": self.over_floor,
            "gain": self.gain,
        }

    def cells(self) -> list[str]:
        """For people, under `HEAD`."""
        ours, floor, plain = (figure(value, self.unit) for value in (self.ours, self.floor, self.plain))
        return [self.name, ours, floor, times(self.over_floor), plain, times(self.gain)]


def figure(value: float | None, unit: Unit) -> str:
    """One figure, for people."""
    if value is None:
        return UNKNOWN
    match unit:
        case "s":
            return seconds(value)
        case "tokens/s":
            return f"{value:,.0f} a second"
        case "bytes":
            return f"{value / GIB:.2f} GiB"


def chart(title: str, stages: Sequence[Stage]) -> Chart:
    """All stages, each a group of its own."""
    groups = []
    for stage in stages:
        figures = {"llava": stage.ours, "floor": stage.floor, "transformers": stage.plain}
        known = {name: value for name, value in figures.items() if value is not None}
        groups.append((stage.name, [Bar(name, value, figure(value, stage.unit)) for name, value in known.items()]))
    return Chart(title, "shorter is better; of tokens a second, longer", groups)
