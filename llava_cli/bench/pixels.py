# SPDX-License-Identifier: Apache-2.0
"""The two ways in which this program scales frames: both are measured."""

from __future__ import annotations

from dataclasses import replace

from llava_cli.request import FrameChoice


def exact(choice: FrameChoice) -> FrameChoice:
    """Whole pictures, which Pillow scales: to the byte what checkpoints' authors make."""
    return replace(choice, fast_pixels=False)


def fast(choice: FrameChoice) -> FrameChoice:
    """Pictures that are scaled inside the decoder."""
    return replace(choice, fast_pixels=True)
