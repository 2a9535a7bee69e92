# SPDX-License-Identifier: Apache-2.0
"""The bundled demo checkpoint, the world of simple moving shapes that it knows, and what `llava demo` shows of it."""

from __future__ import annotations

from pathlib import Path

CHECKPOINT = Path(__file__).with_name("checkpoint")
"""Folder of the bundled checkpoint, in the layout that hub checkpoints have."""
