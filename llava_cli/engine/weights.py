# SPDX-License-Identifier: Apache-2.0
"""Weights from safetensors files, opened here: given a folder, the library would look for others in it, and follow."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any


@contextmanager
def open_weights(files: Sequence[Path]) -> Iterator[dict[str, Any]]:
    """Every weight by its name in the files, as a slice: read when it is needed, which must be inside of this.

    Raises:
        SafetensorError: a file is damaged; OSError: it cannot be read.
    """
    from safetensors import safe_open

    weights: dict[str, Any] = {}
    with ExitStack() as opened:
        for path in files:
            file = opened.enter_context(safe_open(path, framework="pt", device="cpu"))
            weights |= {name: file.get_slice(name) for name in file.keys()}  # noqa: SIM118 - no mapping
        yield weights
