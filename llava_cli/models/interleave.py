# SPDX-License-Identifier: Apache-2.0
"""LLaVA-NeXT-Interleave: a video is a row of images, each with all of its SigLIP features."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any

from llava_cli.media.clip import Media, Sampling, Still, View
from llava_cli.models import pixels
from llava_cli.models.family import Family
from llava_cli.models.fields import LIBRARY
from llava_cli.models.prompt import Placeholder

if TYPE_CHECKING:
    import torch
    from transformers import LlavaForConditionalGeneration

# What the documentation uses. A frame takes 729 tokens, so 44 of them fill the context.
_FRAMES = 8

# Pictures stand side by side; a line break separates them from the words.
QWEN = """
{%- for message in messages -%}
    {{ '<|im_start|>' + message.role + '\\n' }}
    {%- for part in message.content -%}
        {%- if not loop.first and 'text' in (part.type, loop.previtem.type) -%}{{ '\\n' }}{%- endif -%}
        {%- if part.type == 'text' -%}{{ part.text }}{%- else -%}{{ '<' + part.type + '>' }}{%- endif -%}
    {%- endfor -%}
    {{ '<|im_end|>\\n' }}
{%- endfor -%}
{%- if add_generation_prompt -%}{{ '<|im_start|>assistant\\n' }}{%- endif -%}
"""


class Interleave(Family):
    """The 0.5B, 7B and 7B-DPO checkpoints (Qwen1.5)."""

    name = "llava-interleave"
    default_ids = {"image": 151646}
    requires = {"text_config.model_type": ("qwen2",), "vision_config.model_type": ("siglip_vision_model",)}
    tower = pixels.SIGLIP
    modules_to_not_convert = ("model.vision_tower", "model.multi_modal_projector", "lm_head")

    @staticmethod
    def recognizes(config: Mapping[str, Any]) -> bool:
        # Plain LLaVA and the original LLaVA-Video call themselves `llava` too, but are made of other parts.
        parts = [config.get("text_config"), config.get("vision_config")]
        kinds = [part.get("model_type") if isinstance(part, Mapping) else None for part in parts]
        return config.get("model_type") == "llava" and kinds == ["qwen2", "siglip_vision_model"]

    @cached_property
    def _features(self) -> int:
        """Features of a whole picture."""
        strategy = self.config.choice("vision_feature_select_strategy", LIBRARY, ("default", "full"))
        # SigLIP has no class token: what the strategy `default` cuts off is the first patch.
        return self._patches**2 - (strategy == "default")

    @property
    def frame_preprocessing(self) -> pixels.Preprocessing:
        return self.preprocessing  # a frame is one more image

    @cached_property
    def view(self) -> View:
        # As the documentation spreads its frames over the whole video.
        return self._view(Sampling("uniform", _FRAMES))

    @property
    def template(self) -> str:
        return QWEN

    def placeholders(self, medium: Media) -> tuple[Placeholder, ...]:
        pictures = 1 if isinstance(medium, Still) else len(medium.frames)
        return (Placeholder(medium, "image", self._features),) * pictures

    def model_class(self) -> type[LlavaForConditionalGeneration]:
        from transformers import LlavaForConditionalGeneration

        return LlavaForConditionalGeneration

    def encode(self, model: LlavaForConditionalGeneration, medium: Media) -> torch.Tensor:
        import torch

        seen = self.pixels(medium, model.device).to(model.dtype)
        parts = [model.get_image_features(part).pooler_output for part in torch.split(seen, self.vision_batch_size)]
        return torch.cat([picture for part in parts for picture in part])

    def pixels(self, medium: Media, device: torch.device | None = None) -> torch.Tensor:
        """Normalized pixels, float32 [pictures, 3, height, width]."""
        pictures = [medium.pixels] if isinstance(medium, Still) else medium.frames
        return self.preprocessing.apply(pictures, self._image_size, device)
