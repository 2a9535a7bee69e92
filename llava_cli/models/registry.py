# SPDX-License-Identifier: Apache-2.0
"""Which family a checkpoint belongs to. Nothing outside this list is ever loaded."""

from __future__ import annotations

import reprlib
from collections.abc import Mapping
from typing import Any

from llava_cli.errors import ModelError
from llava_cli.models.checkpoint import Checkpoint, dummy_checkpoint, open_checkpoint, with_linear_rope
from llava_cli.models.family import Family
from llava_cli.models.interleave import Interleave
from llava_cli.models.llava_next_video import LlavaNextVideo
from llava_cli.models.llava_video import LlavaVideo
from llava_cli.models.onevision import Onevision
from llava_cli.models.video_llava import VideoLlava

# Checkpoints of LLaVA-Video are of other families to all but LlavaVideo, which comes first.
FAMILIES: tuple[type[Family], ...] = (LlavaVideo, LlavaNextVideo, VideoLlava, Interleave, Onevision)


def family_of(checkpoint: Checkpoint) -> Family:
    """The family of a checkpoint, decided from what its `config.json` says.

    Raises:
        ModelError: no family knows it, or it is made of parts or asks for something that its family does not support.
    """
    for family in FAMILIES:
        if family.recognizes(checkpoint.config):
            return family(checkpoint)
    known = ", ".join(family.name for family in FAMILIES)
    raise ModelError(f"{checkpoint.name}: its config.json says {_kind(checkpoint.config)}; supported families: {known}")


def open_family(
    checkpoint: str, revision: str | None = None, rope_factor: float | None = None, dummy: bool = False
) -> Family:
    """The family of a checkpoint, read from its small files: how it sees and how it is asked.

    Raises:
        ModelError: there is no such checkpoint, or no family knows it.
    """
    opened = dummy_checkpoint(checkpoint) if dummy else open_checkpoint(checkpoint, revision)
    return family_of(opened if rope_factor is None else with_linear_rope(opened, rope_factor))


def _kind(config: Mapping[str, Any]) -> str:
    """What it calls itself, the class that it is of, and what its parts are."""
    said = {"model_type": config.get("model_type"), "architectures": config.get("architectures")}
    for name in ("text_config", "vision_config"):
        if isinstance(part := config.get(name), Mapping):
            said[f"{name}.model_type"] = part.get("model_type")
    known = [f"{key} = {reprlib.repr(value)}" for key, value in said.items() if value is not None]
    return ", ".join(known) or "nothing of what it is"
