# SPDX-License-Identifier: Apache-2.0
"""Weights for a library that, given a checkpoint's folder, would look for other files in it, and follow them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path


def link_weights(files: Sequence[Path], folder: Path) -> None:
    """Have a folder in which these safetensors files are found, and nothing else.

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
