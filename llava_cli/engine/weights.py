# SPDX-License-Identifier: Apache-2.0
"""Weights for a library that, given a checkpoint's folder, would look for other files in it, and follow them."""

from __future__ import annotations

import json
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


def link_weights(files: Sequence[Path], folder: Path) -> None:
    """Have a folder in which these safetensors files are found, and nothing else: for what is read from them later.

    Raises:
        SafetensorError: a file is damaged; OSError: it cannot be read.
    """
    from safetensors import safe_open

    places: dict[str, str] = {}
    for number, path in enumerate(files):
        name = f"model-{number:05}.safetensors"
        (folder / name).symlink_to(path.resolve())
        with safe_open(path, framework="pt") as file:
            places |= dict.fromkeys(file.keys(), name)
    (folder / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": places}))
    (folder / "generation_config.json").write_text("{}")  # the library must not go and look for one
