# SPDX-License-Identifier: Apache-2.0
"""LLaVA-OneVision: SigLIP features of every frame, pooled after the projector; stills as up to nine tiles' worth."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from llava_cli.media.clip import Clip, Media, Sampling, Still, View
from llava_cli.models import anyres, original, pixels
from llava_cli.models.checkpoint import Checkpoint
from llava_cli.models.family import Family
from llava_cli.models.prompt import Placeholder
from llava_cli.models.templates import BODY

if TYPE_CHECKING:
    import torch
    from transformers import LlavaOnevisionForConditionalGeneration

# What the released checkpoints were evaluated with.
_FRAMES = 32

# The conversation that the authors trained with (their `qwen_1_5`).
QWEN = (
    BODY
    + """
{%- if messages[0].role != 'system' -%}
    {{ '<|im_start|>system\\nYou are a helpful assistant.<|im_end|>\\n' }}
{%- endif -%}
{%- for message in messages -%}
    {{ '<|im_start|>' + message.role + '\\n' + body(message.content) + '<|im_end|>\\n' }}
{%- endfor -%}
{%- if add_generation_prompt -%}{{ '<|im_start|>assistant\\n' }}{%- endif -%}
"""
)


class Onevision(Family):
    """The 0.5B, 7B and 72B checkpoints (Qwen2), in transformers' layout or the authors' own."""

    name = "llava-onevision"
    default_ids = {"video": 151647, "image": 151646}
    requires = {
        "text_config.model_type": ("qwen2",),
        "vision_config.model_type": ("siglip_vision_model",),
        "vision_feature_select_strategy": ("full",),
        "use_image_newline_parameter": (True,),
    }
    tower = pixels.SIGLIP
    modules_to_not_convert = ("model.vision_tower", "model.multi_modal_projector", "lm_head")
    key_mapping = original.WEIGHT_NAMES

    def __init__(self, checkpoint: Checkpoint) -> None:
        """Read an original config.json as if it were in transformers' layout.

        Raises:
            ModelError: it asks for what is not supported.
        """
        if original.is_original(checkpoint.config):
            checkpoint = replace(checkpoint, config=original.converted(checkpoint.fields))
        super().__init__(checkpoint)

    @staticmethod
    def recognizes(config: Mapping[str, Any]) -> bool:
        return config.get("model_type") == "llava_onevision" or original.is_original(config)

    @cached_property
    def _pinpoints(self) -> list[list[int]]:
        """The canvases, (height, width), that a still may be cut into tiles from."""
        return self.config.sizes("image_grid_pinpoints", unit=self._image_size)

    @cached_property
    def _most_tiles(self) -> int:
        """How many tiles' features a still has at most, about."""
        return self.config.numbered("vision_aspect_ratio", prefix="anyres_max_")

    @property
    def view(self) -> View:
        return self._view(Sampling("linspace", self._own_frames(self._frames)))

    @property
    def _frames(self) -> int:
        return _FRAMES

    @property
    def template(self) -> str:
        return QWEN

    def placeholders(self, medium: Media) -> tuple[Placeholder, ...]:
        if isinstance(medium, Clip):
            frames = len(medium.frames)
            return (Placeholder(medium, "video", frames * self._pooled**2 + self._newlines(frames)),)
        shown = anyres.shown_patches(medium.pixels.shape[:2], self._pinpoints, self._image_size, self._patches)
        rows, columns = anyres.limited_patches(*shown, self._patches, self._most_tiles)
        # The whole picture once, then the tiles with a newline after every row; so too where there are several stills.
        return (Placeholder(medium, "image", self._patches**2 + rows * (columns + 1)),)

    @property
    def _pooled(self) -> int:
        """Features along one edge of a video frame."""
        return math.ceil(self._patches / 2)

    def _newlines(self, frames: int) -> int:
        """How many newlines stand among the features of a video."""
        return 1

    @property
    def _newline_ends_video(self) -> bool:
        """Whether a video's only newline is its last feature."""
        return True

    def model_class(self) -> type[LlavaOnevisionForConditionalGeneration]:
        from transformers import LlavaOnevisionForConditionalGeneration

        return LlavaOnevisionForConditionalGeneration

    def pictures(self, medium: Media) -> int:
        if isinstance(medium, Clip):
            return super().pictures(medium)
        return anyres.pictures(medium.pixels.shape[:2], self._pinpoints, self._image_size)

    def encode(self, model: LlavaOnevisionForConditionalGeneration, medium: Media) -> torch.Tensor:
        if isinstance(medium, Still):
            return self._encode_still(model, medium)
        return self._encode_clip(model, medium)

    def _encode_clip(self, model: LlavaOnevisionForConditionalGeneration, clip: Clip) -> torch.Tensor:
        import torch

        seen = self.clip_pixels(clip, model.device).to(model.dtype)
        split = torch.split(seen, self.vision_batch_size)
        parts = [model.get_video_features(part[None]).pooler_output[0] for part in split]
        if self._newline_ends_video:
            parts = [*(part[:-1] for part in parts[:-1]), parts[-1]]
        return torch.cat(parts)

    def _encode_still(self, model: LlavaOnevisionForConditionalGeneration, still: Still) -> torch.Tensor:
        """As the model's own `get_image_features`, but never with more tiles at once than the memory plan counts on."""
        import torch

        inputs = self.still_pixels(still)
        seen = inputs["pixel_values"][0].to(model.device, model.dtype)
        tiles = [_tile_features(model, part) for part in torch.split(seen, self.vision_batch_size)]
        features, _ = model.model.pack_image_features(
            [torch.cat(tiles)],
            inputs["image_sizes"],
            image_newline=model.model.image_newline,
            vision_aspect_ratio=model.config.vision_aspect_ratio,
        )
        return features[0]

    def clip_pixels(self, clip: Clip, device: torch.device | None = None) -> torch.Tensor:
        """Normalized pixels, float32 [frames, 3, height, width]."""
        return self.frame_preprocessing.apply(clip.frames, self._image_size, device)

    def still_pixels(self, still: Still) -> Mapping[str, torch.Tensor]:
        """The whole picture and its tiles: `pixel_values` float32 [1, tiles, 3, height, width], `image_sizes`."""
        from transformers.models.llava_onevision.image_processing_pil_llava_onevision import (
            LlavaOnevisionImageProcessorPil,
        )

        processor = LlavaOnevisionImageProcessorPil(
            image_grid_pinpoints=self._pinpoints, **self.preprocessing.arguments(self._image_size)
        )
        return processor(still.pixels, return_tensors="pt", input_data_format="channels_last")


def _tile_features(model: LlavaOnevisionForConditionalGeneration, tiles: torch.Tensor) -> torch.Tensor:
    """Features of pictures after the projector: [tiles, patches, hidden size]."""
    import torch

    config = model.config
    states = model.model.vision_tower(tiles, output_hidden_states=True).hidden_states
    layers = config.vision_feature_layer
    chosen = torch.cat([states[layer] for layer in ([layers] if isinstance(layers, int) else layers)], dim=-1)
    if config.vision_feature_select_strategy == "default":
        chosen = chosen[:, 1:]
    return model.model.multi_modal_projector(chosen)
