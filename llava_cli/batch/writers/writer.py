# SPDX-License-Identifier: Apache-2.0
"""What everything that is written beside the ledger has in common."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol

from llava_cli.atomic import AtomicFile
from llava_cli.media.clip import Media


class Writer:
    """Is given the records of each group, those of earlier runs too, and what the group's media showed."""

    needs_media = False
    per_job = False
    """What it writes is of single jobs: where that fails they have failed, and not the run."""

    def put(self, records: Sequence[tuple[dict[str, Any], bool]], media: Sequence[Media]) -> None:
        """Write the records of a group, each with whether it was made in this run.

        Raises:
            OutputError: they cannot be written.
        """
        raise NotImplementedError

    def close(self) -> None:
        """All records are there."""

    def discard(self) -> None:
        """Leave nothing half done behind; called in any case, after `close` where all went well."""


class Sink(Protocol):
    """Where a text goes piece by piece."""

    def write(self, data: str, /) -> Any: ...

    def close(self) -> None: ...

    def discard(self) -> None: ...


Target = Path | Callable[[str], None]
"""A file, which is there when all of it is, or what takes each piece at once."""


def sink_of(target: Target) -> Sink:
    """What writes there.

    Raises:
        OutputError: a file cannot be written.
    """
    return AtomicFile(target) if isinstance(target, Path) else _Passed(target)


class _Passed:
    """Hands on each piece."""

    def __init__(self, write: Callable[[str], None]) -> None:
        self.write = write

    def close(self) -> None:
        """Nothing was held back."""

    def discard(self) -> None:
        """What is gone is gone."""
