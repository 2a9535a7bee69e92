# SPDX-License-Identifier: Apache-2.0
"""A report whose figures are made up."""

from __future__ import annotations

from llava_cli.bench.chart import Bar, Chart
from llava_cli.bench.host import Host
from llava_cli.bench.report import Report

HOST = Host("Some CPU", 2, 8.0, (), {"llava": "1.0"}, 0.5)
REPORT = Report(
    name="made-up",
    title="Made up",
    host=HOST,
    command="llava bench made-up",
    rows=[{"what": "a|b", "value": 1.0}, {"what": "ü", "value": None}],
    tables=[[["what", "value"], ["a|b", "1.00x"], ["ü", "-"]]],
    notes=["How to read it."],
    chart=Chart("Made up", "seconds", [("group", [Bar("a", 1.0, "1 s")])]),
)
