# SPDX-License-Identifier: Apache-2.0
"""Which family a checkpoint belongs to. Nothing outside this list is ever loaded."""

from __future__ import annotations

from llava_cli.errors import ModelError
from llava_cli.models.checkpoint import Checkpoint
from llava_cli.models.family import Family
from llava_cli.models.interleave import Interleave
from llava_cli.models.llava_next_video import LlavaNextVideo
from llava_cli.models.llava_video import LlavaVideo
from llava_cli.models.onevision import Onevision
from llava_cli.models.video_llava import VideoLlava

# Conversions of LLaVA-Video are LLaVA-OneVision to all but LlavaVideo, which comes first.
FAMILIES: tuple[type[Family], ...] = (LlavaNextVideo, VideoLlava, Interleave, LlavaVideo, Onevision)


def family_of(checkpoint: Checkpoint) -> Family:
    """The family of a checkpoint, decided from what its `config.json` says.

    Raises:
        ModelError: no family knows it.
    """
    for family in FAMILIES:
        if family.recognizes(checkpoint.config):
            return family(checkpoint)
    known = ", ".join(family.name for family in FAMILIES)
    kind = checkpoint.config.get("model_type", "of no named type")
    raise ModelError(f"{checkpoint.name}: its config.json says {kind!r}; supported families: {known}")
