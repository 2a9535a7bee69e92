# SPDX-License-Identifier: Apache-2.0
"""What a run's records are written as beside the ledger: a class for each format, and a line here."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, Protocol

from llava_cli.media.clip import Media

SidecarFormat = Literal["txt", "json"]


class Writer(Protocol):
    """Is given the records of each group, those of earlier runs too, and what the group's media showed."""

    needs_media: bool

    def put(self, records: Sequence[tuple[dict[str, Any], bool]], media: Sequence[Media]) -> None:
        """Write the records of a group, each with whether it was made in this run.

        Raises:
            OutputError: they cannot be written.
        """

    def close(self) -> None:
        """All records are there."""

    def discard(self) -> None:
        """Leave nothing half done behind; called in any case, after `close` where all went well."""


def open_writers(
    csv: Path | None = None,
    report: Path | None = None,
    sidecar: SidecarFormat | None = None,
    folder: Path | None = None,
) -> list[Writer]:
    """Those that are wanted; `folder` is where sidecars go, if not beside their media.

    Raises:
        OutputError: a file cannot be written.
    """
    from llava_cli.batch.writers.report import Report
    from llava_cli.batch.writers.sidecar import JsonSidecars, TextSidecars
    from llava_cli.batch.writers.table import CsvFile

    writers: list[Writer] = []
    if csv is not None:
        writers.append(CsvFile(csv))
    if report is not None:
        writers.append(Report(report))
    if sidecar is not None:
        writers.append({"txt": TextSidecars, "json": JsonSidecars}[sidecar](folder))
    return writers
