# SPDX-License-Identifier: Apache-2.0
"""LLaVA-NeXT-Video: every frame through a CLIP tower, pooled 2 x 2; stills as anyres tiles."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any

from llava_cli.errors import ModelError
from llava_cli.media.clip import Clip, Media, Sampling, Still, View
from llava_cli.models.conversation import Word
from llava_cli.models.family import Family
from llava_cli.models.prompt import Slot
from llava_cli.models.templates import BODY, VICUNA

if TYPE_CHECKING:
    import torch
    from transformers import LlavaNextVideoForConditionalGeneration

# What the released checkpoints were trained with (their model cards).
_FRAMES = 32
# What the default number of frames leaves of the context for question and answer.
_TEXT_TOKENS = 512
_CLIP_MEAN = [0.48145466, 0.4578275, 0.40821073]
_CLIP_STD = [0.26862954, 0.26130258, 0.27577711]
_BICUBIC = 3

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
    unquantized = ("model.vision_tower", "model.multi_modal_projector", "lm_head")

    @staticmethod
    def recognizes(config: Mapping[str, Any]) -> bool:
        return config.get("model_type") == "llava_next_video"

    @cached_property
    def _image_size(self) -> int:
        vision = self.checkpoint.config.get("vision_config", {"image_size": 336})
        return int(vision.get("image_size", 224))

    @cached_property
    def _patches(self) -> int:
        """Patches along one edge of a frame or tile."""
        vision = self.checkpoint.config.get("vision_config", {"patch_size": 14})
        return self._image_size // int(vision.get("patch_size", 32))

    @cached_property
    def _tokens_per_frame(self) -> int:
        return (self._patches // int(self.checkpoint.config.get("spatial_pool_stride", 2))) ** 2

    @cached_property
    def _pinpoints(self) -> list[list[int]]:
        """The canvases, (height, width), that a still may be cut into tiles from."""
        default = [[336, 672], [672, 336], [672, 672], [1008, 336], [336, 1008]]
        return self.checkpoint.config.get("image_grid_pinpoints") or default

    @cached_property
    def view(self) -> View:
        frames = int(self.checkpoint.video_preprocessor.get("num_frames") or _FRAMES)
        if self.context is not None:  # the 34B's does not hold as many frames as it was trained with
            frames = max(1, min(frames, (self.context - _TEXT_TOKENS) // self._tokens_per_frame))
        return View((self._image_size, self._image_size), "crop", Sampling("uniform", frames))

    @cached_property
    def placeholder_ids(self) -> dict[Word, int]:
        config = self.checkpoint.config
        return {
            "video": int(config.get("video_token_index", config.get("video_token_id", 32000))),
            "image": int(config.get("image_token_index", config.get("image_token_id", 32001))),
        }

    @property
    def template(self) -> str:
        text = self.checkpoint.config.get("text_config", {})
        if text.get("model_type") == "mistral":
            return MISTRAL
        # The only other released language model is Nous-Hermes-2-Yi: a Llama with Yi's vocabulary and ChatML.
        return YI if text.get("vocab_size", 0) >= 64000 else VICUNA

    def slots(self, medium: Media) -> tuple[Slot, ...]:
        if isinstance(medium, Clip):
            return (Slot(medium, "video", len(medium.frames) * self._tokens_per_frame),)
        height, width = medium.pixels.shape[:2]
        rows, columns = self._unpadded_patches(height, width)
        # The whole picture once, then the tiles with a newline after every row.
        return (Slot(medium, "image", self._patches**2 + rows * (columns + 1)),)

    def _unpadded_patches(self, height: int, width: int) -> tuple[int, int]:
        """Rows and columns of patches that show the picture, of the canvas that it was padded to.

        Rounds as the model does when it cuts the padding off its features.
        """
        from transformers.image_processing_utils import select_best_resolution

        canvas = select_best_resolution((height, width), self._pinpoints)
        rows, columns = (edge // self._image_size * self._patches for edge in canvas)
        if width / height > columns / rows:
            shown = int(round(height * (columns / width), 7))
            return rows - (rows - shown) // 2 * 2, columns
        shown = int(round(width * (rows / height), 7))
        return rows, columns - (columns - shown) // 2 * 2

    def model_class(self) -> type[LlavaNextVideoForConditionalGeneration]:
        from transformers import LlavaNextVideoForConditionalGeneration

        return LlavaNextVideoForConditionalGeneration

    def encode(self, model: LlavaNextVideoForConditionalGeneration, medium: Media) -> torch.Tensor:
        if isinstance(medium, Still):
            return self._encode_still(model, medium)
        return self._encode_clip(model, medium)

    def _encode_clip(self, model: LlavaNextVideoForConditionalGeneration, clip: Clip) -> torch.Tensor:
        import torch

        pixels = self.clip_pixels(clip).to(model.device, model.dtype)
        features = [
            model.get_video_features(part[None]).pooler_output[0] for part in torch.split(pixels, self.images_at_once)
        ]
        return torch.cat(features)

    def _encode_still(self, model: LlavaNextVideoForConditionalGeneration, still: Still) -> torch.Tensor:
        inputs = self.still_pixels(still)
        pixels = inputs["pixel_values"].to(model.device, model.dtype)
        return model.get_image_features(pixels, inputs["image_sizes"]).pooler_output[0]

    def clip_pixels(self, clip: Clip) -> torch.Tensor:
        """Normalized pixels, float32 [frames, 3, height, width].

        Frames that the decoder already scaled are only normalized; full-size ones are scaled by Pillow first, which
        is the authors' preprocessing to the byte.
        """
        from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

        scaled = clip.frames.shape[1:3] == self.view.size
        processor = CLIPImageProcessorPil(
            do_resize=not scaled,
            do_center_crop=not scaled,
            size={"shortest_edge": self._image_size},
            crop_size={"height": self._image_size, "width": self._image_size},
            **self._normalization(self.checkpoint.preprocessor | self.checkpoint.video_preprocessor),
        )
        return processor(list(clip.frames), return_tensors="pt", input_data_format="channels_last").pixel_values

    def still_pixels(self, still: Still) -> Mapping[str, torch.Tensor]:
        """The whole picture and its tiles: `pixel_values` float32 [1, tiles, 3, height, width], `image_sizes`."""
        from transformers.models.llava_next.image_processing_pil_llava_next import LlavaNextImageProcessorPil

        processor = LlavaNextImageProcessorPil(
            size={"shortest_edge": self._image_size},
            crop_size={"height": self._image_size, "width": self._image_size},
            image_grid_pinpoints=self._pinpoints,
            **self._normalization(self.checkpoint.preprocessor),
        )
        return processor(still.pixels, return_tensors="pt", input_data_format="channels_last")

    @staticmethod
    def _normalization(preprocessor: Mapping[str, Any]) -> dict[str, Any]:
        mean, std = preprocessor.get("image_mean", _CLIP_MEAN), preprocessor.get("image_std", _CLIP_STD)
        if not len(mean) == len(std) == 3:
            raise ModelError("the checkpoint's preprocessor_config.json has no mean and std for three colour channels")
        return {"image_mean": mean, "image_std": std, "resample": preprocessor.get("resample", _BICUBIC)}
