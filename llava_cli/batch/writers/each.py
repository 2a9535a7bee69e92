# SPDX-License-Identifier: Apache-2.0
"""All records of a list, those of earlier runs too, handed to whoever wants to look at them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from llava_cli.batch.writers.writer import Writer
from llava_cli.media.clip import Media


class Each(Writer):
    """Calls a function with each record."""

    def __init__(self, see: Callable[[Mapping[str, Any]], None]) -> None:
        self._see = see

    def put(self, records: Sequence[tuple[dict[str, Any], bool]], media: Sequence[Media]) -> None:
        for record, _ in records:
            self._see(record)
