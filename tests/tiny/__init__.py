# SPDX-License-Identifier: Apache-2.0
"""Tiny checkpoints of every family in the hub's file layout, made on the fly and deterministic.

Their weights are random but large, so that what they say changes with every frame, colour and word. Each family has
a module of its name, whose `make` writes one.
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any


def make(family: str, folder: Path, **settings: Any) -> Path:
    """Write a checkpoint of a family into a folder; what can be set is said by the family's own `make`."""
    return import_module(f"tiny.{family.replace('-', '_')}").make(folder, **settings)
