# SPDX-License-Identifier: Apache-2.0
"""Video-LLaVA: frames of a video through one tower, stills through another, into the same space."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

from llava_cli.media.clip import Clip, Media, Sampling, Still, View
from llava_cli.models import pixels
from llava_cli.models.family import Family
from llava_cli.models.fields import LIBRARY
from llava_cli.models.prompt import Placeholder
from llava_cli.models.templates import VICUNA

if TYPE_CHECKING:
    import torch
    from transformers import VideoLlavaForConditionalGeneration

# It was trained with this many of every video; the published code shows it other numbers too.
_FRAMES = 8


class VideoLlava(Family):
    """The 7B checkpoint (Vicuna)."""

    name = "video-llava"
    default_ids = {"video": 32001, "image": 32000}
    requires = {"text_config.model_type": ("llama",), "vision_config.model_type": ("clip_vision_model",)}
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
    def template(self) -> str:
        return VICUNA

    def placeholders(self, medium: Media) -> tuple[Placeholder, ...]:
        if isinstance(medium, Still):
            strategy = self.config.choice("vision_feature_select_strategy", LIBRARY, ("default", "full"))
            return (Placeholder(medium, "image", self._patches**2 + (strategy == "full")),)
        # Frames keep the class token that stills lose.
        return (Placeholder(medium, "video", len(medium.frames) * (self._patches**2 + 1)),)

    def remarks(self, media: Sequence[Media]) -> tuple[str, ...]:
        counts = sorted({len(medium.frames) for medium in media if isinstance(medium, Clip)} - {_FRAMES})
        return tuple(f"{self.name} was trained with {_FRAMES} frames of every video, not {count}" for count in counts)

    def model_class(self) -> type[VideoLlavaForConditionalGeneration]:
        from transformers import VideoLlavaForConditionalGeneration

        return VideoLlavaForConditionalGeneration

    def encode(self, model: VideoLlavaForConditionalGeneration, medium: Media) -> torch.Tensor:
        import torch

        seen = self.pixels(medium, model.device).to(model.dtype)
        # By position: the argument's name depends on transformers' version.
        if isinstance(medium, Still):
            return model.model.get_image_features(seen).pooler_output[0]
        parts = torch.split(seen, self.vision_batch_size)
        return torch.cat([model.model.get_video_features(part[None]).pooler_output.flatten(0, 1) for part in parts])

    def pixels(self, medium: Media, device: torch.device | None = None) -> torch.Tensor:
        """Normalized pixels, float32 [pictures, 3, height, width]."""
        if isinstance(medium, Still):
            return self.preprocessing.apply([medium.pixels], self._image_size, device)
        return self.frame_preprocessing.apply(medium.frames, self._image_size, device)
