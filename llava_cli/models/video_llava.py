# SPDX-License-Identifier: Apache-2.0
"""Video-LLaVA: eight frames of a video through one tower, stills through another, into the same space."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from llava_cli.errors import UsageError
from llava_cli.media.clip import Clip, Media, Sampling, Still, View
from llava_cli.models import pixels
from llava_cli.models.family import Family
from llava_cli.models.prompt import Placeholder
from llava_cli.models.templates import VICUNA

if TYPE_CHECKING:
    import torch
    from transformers import VideoLlavaForConditionalGeneration

# It was trained with this many of every video, and takes no other number.
_FRAMES = 8


class VideoLlava(Family):
    """The 7B checkpoint (Vicuna)."""

    name = "video-llava"
    default_ids = {"video": 32001, "image": 32000}
    default_patch_size = 32
    tower = pixels.CLIP
    modules_to_not_convert = ("model.video_tower", "model.image_tower", "model.multi_modal_projector", "lm_head")
    vision_batch_size = _FRAMES

    @staticmethod
    def recognizes(config: Mapping[str, Any]) -> bool:
        return config.get("model_type") == "video_llava"

    @cached_property
    def view(self) -> View:
        # As the checkpoint's documentation samples in transformers' format; the authors' own demo says `linspace`.
        return self._view(Sampling("uniform", _FRAMES))

    @property
    def most_frames(self) -> int:
        return _FRAMES

    @property
    def template(self) -> str:
        return VICUNA

    def placeholders(self, medium: Media) -> tuple[Placeholder, ...]:
        if isinstance(medium, Still):
            strategy = self.config.choice("vision_feature_select_strategy", "default", ("default", "full"))
            return (Placeholder(medium, "image", self._patches**2 + (strategy == "full")),)
        _check_number(medium)
        # Frames keep the class token that stills lose.
        return (Placeholder(medium, "video", _FRAMES * (self._patches**2 + 1)),)

    def model_class(self) -> type[VideoLlavaForConditionalGeneration]:
        from transformers import VideoLlavaForConditionalGeneration

        return VideoLlavaForConditionalGeneration

    def encode(self, model: VideoLlavaForConditionalGeneration, medium: Media) -> torch.Tensor:
        seen = self.pixels(medium).to(model.device, model.dtype)
        # By position: the argument's name depends on transformers' version.
        if isinstance(medium, Still):
            return model.model.get_image_features(seen).pooler_output[0]
        frames = model.model.get_video_features(seen[None]).pooler_output
        return frames[shown_places(len(frames))].flatten(0, 1)

    def pixels(self, medium: Media) -> torch.Tensor:
        """Normalized pixels, float32 [pictures, 3, height, width]."""
        if isinstance(medium, Still):
            return self.preprocessing.apply([medium.pixels], self._image_size)
        return self.frame_preprocessing.apply(medium.frames, self._image_size)


def shown_places(frames: int) -> list[int]:
    """The frames that the model is shown: of a clip that has fewer than eight, some again, as the authors do."""
    return np.linspace(0, frames - 1, _FRAMES, dtype=int).tolist()


def _check_number(clip: Clip) -> None:
    asked = max(clip.sampling.frames, len(clip.frames))
    if asked != _FRAMES:
        raise UsageError(f"{clip.info.path}: video-llava takes exactly {_FRAMES} frames, not {asked}; omit --frames")
