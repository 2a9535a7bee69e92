# SPDX-License-Identifier: Apache-2.0
"""LLaVA-NeXT-Video: every frame through a CLIP tower, pooled 2 x 2; stills as anyres tiles."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any

from llava_cli.errors import ModelError
from llava_cli.media.clip import Clip, Media, Sampling, Still, View
from llava_cli.models import anyres, pixels
from llava_cli.models.family import Family
from llava_cli.models.prompt import Placeholder
from llava_cli.models.templates import BODY, VICUNA

if TYPE_CHECKING:
    import torch
    from transformers import LlavaNextVideoForConditionalGeneration

# What the released checkpoints were trained with (their model cards).
_FRAMES = 32
# Sizes of vocabularies.
_PADDING = 256
_LLAMA_2, _YI = 32000 + _PADDING, 64000
# What the default number of frames leaves of the context for question and answer.
_TEXT_TOKENS = 512

MISTRAL = (
    BODY
    + """
{%- set system = namespace(text='') -%}
{%- for message in messages -%}
    {%- if message.role == 'system' -%}{%- set system.text = body(message.content) + '\\n\\n' -%}
    {%- elif message.role == 'user' -%}
        {{ '[INST] ' + system.text + body(message.content) + ' [/INST]' }}{%- set system.text = '' -%}
    {%- else -%}{{ ' ' + body(message.content) + eos_token }}
    {%- endif -%}
{%- endfor -%}
"""
)

YI = (
    BODY
    + """
{%- if messages[0].role != 'system' -%}
    {{ '<|im_start|>system\\nAnswer the questions.<|im_end|>' }}
{%- endif -%}
{%- for message in messages -%}
    {{ '<|im_start|>' + message.role + '\\n' + body(message.content) + '<|im_end|>' }}
{%- endfor -%}
{%- if add_generation_prompt -%}{{ '<|im_start|>assistant\\n' }}{%- endif -%}
"""
)


class LlavaNextVideo(Family):
    """The 7B (Vicuna), 7B-32K (Mistral) and 34B (Yi) checkpoints, and their DPO variants."""

    name = "llava-next-video"
    default_ids = {"video": 32000, "image": 32001}
    requires = {
        "text_config.model_type": ("llama", "mistral"),
        "vision_config.model_type": ("clip_vision_model",),
        "vision_feature_select_strategy": ("default",),
        "spatial_pool_mode": ("average", "max", "conv"),
        "use_image_newline_parameter": (True,),
    }
    tower = pixels.CLIP
    modules_to_not_convert = ("model.vision_tower", "model.multi_modal_projector", "lm_head")

    @staticmethod
    def recognizes(config: Mapping[str, Any]) -> bool:
        return config.get("model_type") == "llava_next_video"

    @cached_property
    def _tokens_per_frame(self) -> int:
        return (self._patches // self.config.integer("spatial_pool_stride", most=self._patches)) ** 2

    @cached_property
    def _pinpoints(self) -> list[list[int]]:
        """The canvases, (height, width), that a still may be cut into tiles from."""
        return self.config.sizes("image_grid_pinpoints", unit=self._image_size)

    @cached_property
    def view(self) -> View:
        frames = self._own_frames(_FRAMES)
        # The 34B's context does not hold as many frames as it was trained with.
        frames = max(1, min(frames, (self.context - _TEXT_TOKENS) // self._tokens_per_frame))
        return self._view(Sampling("uniform", frames))

    @property
    def template(self) -> str:
        if self.text.text("model_type", "llama") == "mistral":
            return MISTRAL
        # The released language models are known by their vocabularies, which were padded: Vicuna's is Llama 2's, that
        # of Nous-Hermes-2-Yi, a Llama with ChatML, is Yi's.
        words = self.text.integer("vocab_size")
        if words <= _LLAMA_2:
            return VICUNA
        if _YI <= words <= _YI + _PADDING:
            return YI
        raise ModelError(
            f"{self.config.source} says text_config.vocab_size = {words}; no prompt was published for such a language "
            "model: add the chat template that the checkpoint was trained with"
        )

    def placeholders(self, medium: Media) -> tuple[Placeholder, ...]:
        if isinstance(medium, Clip):
            return (Placeholder(medium, "video", len(medium.frames) * self._tokens_per_frame),)
        rows, columns = anyres.shown_patches(medium.pixels.shape[:2], self._pinpoints, self._image_size, self._patches)
        # The whole picture once, then the tiles with a newline after every row.
        return (Placeholder(medium, "image", self._patches**2 + rows * (columns + 1)),)

    def model_class(self) -> type[LlavaNextVideoForConditionalGeneration]:
        from transformers import LlavaNextVideoForConditionalGeneration

        return LlavaNextVideoForConditionalGeneration

    def pictures(self, medium: Media) -> int:
        if isinstance(medium, Clip):
            return super().pictures(medium)
        return anyres.pictures(medium.pixels.shape[:2], self._pinpoints, self._image_size)

    def encode(self, model: LlavaNextVideoForConditionalGeneration, medium: Media) -> torch.Tensor:
        if isinstance(medium, Still):
            return self._encode_still(model, medium)
        return self._encode_clip(model, medium)

    def _encode_clip(self, model: LlavaNextVideoForConditionalGeneration, clip: Clip) -> torch.Tensor:
        import torch

        seen = self.clip_pixels(clip, model.device).to(model.dtype)
        features = [
            model.get_video_features(part[None]).pooler_output[0] for part in torch.split(seen, self.vision_batch_size)
        ]
        return torch.cat(features)

    def _encode_still(self, model: LlavaNextVideoForConditionalGeneration, still: Still) -> torch.Tensor:
        inputs = self.still_pixels(still)
        tiles = inputs["pixel_values"].to(model.device, model.dtype)
        return model.get_image_features(tiles, inputs["image_sizes"]).pooler_output[0]

    def clip_pixels(self, clip: Clip, device: torch.device | None = None) -> torch.Tensor:
        """Normalized pixels, float32 [frames, 3, height, width]."""
        return self.frame_preprocessing.apply(clip.frames, self._image_size, device)

    def still_pixels(self, still: Still) -> Mapping[str, torch.Tensor]:
        """The whole picture and its tiles: `pixel_values` float32 [1, tiles, 3, height, width], `image_sizes`."""
        from transformers.models.llava_next.image_processing_pil_llava_next import LlavaNextImageProcessorPil

        processor = LlavaNextImageProcessorPil(
            image_grid_pinpoints=self._pinpoints, **self.preprocessing.arguments(self._image_size)
        )
        return processor(still.pixels, return_tensors="pt", input_data_format="channels_last")
