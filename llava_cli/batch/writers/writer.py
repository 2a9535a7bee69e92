# SPDX-License-Identifier: Apache-2.0
"""What everything that is written beside the ledger has in common."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

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
