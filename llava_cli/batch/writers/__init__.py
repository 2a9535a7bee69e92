# SPDX-License-Identifier: Apache-2.0
"""What a run's records are written as beside the ledger: a class for each format, and a line here."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from llava_cli.batch.writers.writer import Writer


@dataclass(frozen=True)
class Outputs:
    """Where records go, and which are made anew."""

    ledger: Path | None = None
    """None keeps no records: they are only handed on."""
    retry_failed: bool = False
    force: bool = False
    sidecar: Literal["txt", "json"] | None = None
    output_dir: Path | None = None
    """Where sidecars go, if not beside their media."""
    overwrite: bool = False
    """Sidecars may take the place of files that somebody else has written."""
    csv: Path | None = None
    report: Path | None = None


def open_writers(outputs: Outputs) -> list[Writer]:
    """Those that are wanted beside the ledger.

    Raises:
        OutputError: a file cannot be written.
    """
    from llava_cli.batch.writers.report import Report
    from llava_cli.batch.writers.sidecar import JsonSidecars, TextSidecars
    from llava_cli.batch.writers.table import CsvFile

    writers: list[Writer] = []
    if outputs.sidecar is not None:  # first: the others tell of sidecars that could not be written
        kind = {"txt": TextSidecars, "json": JsonSidecars}[outputs.sidecar]
        writers.append(kind(outputs.output_dir, outputs.overwrite, outputs.ledger))
    if outputs.csv is not None:
        writers.append(CsvFile(outputs.csv))
    if outputs.report is not None:
        writers.append(Report(outputs.report))
    return writers
