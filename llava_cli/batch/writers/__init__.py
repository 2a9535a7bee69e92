# SPDX-License-Identifier: Apache-2.0
"""What a run's records are written as beside the ledger: a class for each format, and a line here."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from llava_cli.batch.writers.forms import FormName
from llava_cli.batch.writers.writer import Target, Writer
from llava_cli.captions import PLAIN, Wording


@dataclass(frozen=True)
class Outputs:
    """Where records go, and which are made anew."""

    ledger: Path | None = None
    """None keeps no records: they are only handed on."""
    retry_failed: bool = False
    force: bool = False
    sidecar: FormName | None = None
    output_dir: Path | None = None
    """Where sidecars go, if not beside their media."""
    overwrite: bool = False
    """Sidecars may take the place of files that somebody else has written."""
    csv: Path | None = None
    report: Path | None = None
    form: FormName | Literal["csv"] | None = None
    """One text for the run, in the place of records."""
    target: Target | None = None
    """Where that goes."""


def open_writers(outputs: Outputs, wording: Wording = PLAIN, summary: bool = False) -> list[Writer]:
    """Those that are wanted beside the ledger.

    Args:
        wording: how captions are made of answers.
        summary: windows are followed by an answer about all of their video.

    Raises:
        OutputError: a file cannot be written.
    """
    from llava_cli.batch.writers.forms import FORMS
    from llava_cli.batch.writers.report import Report
    from llava_cli.batch.writers.sidecar import Sidecars
    from llava_cli.batch.writers.single import SingleText
    from llava_cli.batch.writers.table import CsvFile

    writers: list[Writer] = []
    if outputs.sidecar is not None:  # first: the others tell of sidecars that could not be written
        form = FORMS[outputs.sidecar]
        writers.append(Sidecars(form, outputs.output_dir, outputs.overwrite, outputs.ledger, wording, summary))
    if outputs.form == "csv" and outputs.target is not None:
        writers.append(CsvFile(outputs.target, wording))
    elif outputs.form is not None and outputs.form != "csv" and outputs.target is not None:
        writers.append(SingleText(outputs.form, outputs.target, wording, summary))
    if outputs.csv is not None:
        writers.append(CsvFile(outputs.csv, wording))
    if outputs.report is not None:
        writers.append(Report(outputs.report))
    return writers
