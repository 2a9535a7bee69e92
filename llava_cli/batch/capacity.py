# SPDX-License-Identifier: Apache-2.0
"""How many questions fit into memory at once, by the memory plan."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from llava_cli.engine.loader import Loader

_SHARE = 0.9
"""Of the memory that is free; plans are not exact."""


class Capacity:
    """What a batch may take. To be made before the weights are loaded, while the memory that they will take is free."""

    def __init__(self, loader: Loader, new_tokens: int) -> None:
        self._new_tokens = new_tokens
        self._plan = loader.plan
        self._free = loader.plan([]).free * _SHARE

    def fits(self, lengths: Sequence[int]) -> bool:
        """Whether prompts of these lengths, and their answers, fit together."""
        return self._plan([(length, self._new_tokens) for length in lengths]).total <= self._free
