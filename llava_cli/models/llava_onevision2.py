# SPDX-License-Identifier: Apache-2.0
"""LLaVA-OneVision-2: pictures in their own sizes, a video as a row of them with the time of each before it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from llava_cli.errors import InputError, ModelError
from llava_cli.media.clip import Clip, Media, NativeSizes, Sampling, View
from llava_cli.media.errors import MediaError
from llava_cli.media.geometry import bring_into_view, native_size
from llava_cli.models import pixels
from llava_cli.models.checkpoint import Checkpoint
from llava_cli.models.family import Family
from llava_cli.models.messages import Conversation
from llava_cli.models.pixels import Preprocessing
from llava_cli.models.prompt import Placeholder, Shown, Slot, Text

if TYPE_CHECKING:
    import torch

    from llava_cli.models.llava_onevision2_model import LlavaOnevision2ForConditionalGeneration

# As the authors evaluate with frames; their own setting for long videos bounds each frame.
_FRAMES, _FRAME_PIXELS = 32, 153_664
# Of pictures, where the files do not say it.
_LEAST, _MOST = 3136, 4_000_000
_PIXELS = 1 << 26
_MERGE = 3
"""What the authors' classes take where config.json does not say it; the released checkpoints say 2."""
_BATCH_PATCHES = 12_544
"""That go through the vision tower together, where one picture has fewer: 16 frames of the usual size."""

# The conversation that the authors trained with: parts in their order, nothing in between.
QWEN = """
{%- if messages[0].role != 'system' -%}
    {{ '<|im_start|>system\\nYou are a helpful assistant.<|im_end|>\\n' }}
{%- endif -%}
{%- for message in messages -%}
    {{ '<|im_start|>' + message.role + '\\n' }}
    {%- for part in message.content -%}
        {%- if part.type == 'text' -%}{{ part.text }}{%- else -%}{{ '<' + part.type + '>' }}{%- endif -%}
    {%- endfor -%}
    {{ '<|im_end|>\\n' }}
{%- endfor -%}
{%- if add_generation_prompt -%}{{ '<|im_start|>assistant\\n' }}{%- endif -%}
"""
_BEFORE, _AFTER = "<|vision_start|>", "<|vision_end|>"


class LlavaOnevision2(Family):
    """The 8B checkpoint (Qwen3)."""

    name = "llava-onevision2"
    default_ids = {"video": 151656, "image": 151655}
    requires = {
        "text_config.model_type": ("qwen3",),
        "vision_config.temporal_patch_size": (1,),
        "vision_config.layer_norm_type": ("layer_norm",),
        "vision_config.use_head": (False,),
    }
    tower = pixels.NATIVE
    modules_to_not_convert = ("model.visual", "lm_head")
    supports_float16 = False
    marks = {
        kind: rf"(<\|vision_start\|>)?(<{kind}>|<\|{kind}_pad\|>)(<\|vision_end\|>)?" for kind in ("video", "image")
    }
    positions = ("zero", "index")
    frame_text_tokens = 13
    keeps_hidden_states = False

    def __init__(self, checkpoint: Checkpoint) -> None:
        """Read the sizes that the tower and its pictures have.

        Raises:
            ModelError: they do not go together, or are of a kind that no released checkpoint is.
        """
        super().__init__(checkpoint)
        self._patch = self.vision.integer("patch_size", 14, most=256)
        self._merge = self.vision.integer("spatial_merge_size", _MERGE, most=16)
        text_size = self.text.integer("hidden_size")
        self.vision.choice("out_hidden_size", text_size, (text_size,))
        width, heads = self.vision.integer("hidden_size", 1024), self.vision.integer("num_attention_heads", 16)
        if width % (32 * heads):
            raise ModelError(
                f"{self.config.source} says vision_config.hidden_size = {width} with {heads} attention heads; each "
                "must be a multiple of 32 wide"
            )

    @staticmethod
    def recognizes(config: Mapping[str, Any]) -> bool:
        return config.get("model_type") == "llava_onevision2"

    @cached_property
    def sizes(self) -> NativeSizes:
        """The sizes that stills have, and frames at most."""
        files = self.checkpoint.preprocessor
        for key, own in (("patch_size", self._patch), ("merge_size", self._merge), ("temporal_patch_size", 1)):
            files.choice(key, own, (own,))
        unit = self._patch * self._merge
        named = files.object("size")
        least = files.integer("min_pixels", named.integer("shortest_edge", _LEAST, most=_PIXELS), most=_PIXELS)
        floor = max(least, unit**2)
        most = files.integer(
            "max_pixels", named.integer("longest_edge", _MOST, most=_PIXELS), least=floor, most=_PIXELS
        )
        return NativeSizes(unit, least, most)

    @property
    def _frame_pixels(self) -> int:
        return min(self.sizes.most, max(_FRAME_PIXELS, self.sizes.least, self.sizes.unit**2))

    @cached_property
    def preprocessing(self) -> Preprocessing:
        return self.tower.of(self.checkpoint.preprocessor, None)

    @property
    def frame_preprocessing(self) -> Preprocessing:
        return self.preprocessing  # a frame is one more image

    @cached_property
    def _frame_sizes(self) -> NativeSizes:
        return replace(self.sizes, most=self._frame_pixels)

    @cached_property
    def view(self) -> View:
        sampling, sizes = Sampling("linspace-rounded", self._own_frames(_FRAMES)), self._frame_sizes
        return View(sizes.largest, self.preprocessing.fit, sampling, self.preprocessing.resample, sizes=sizes)

    @property
    def template(self) -> str:
        return QWEN

    def media_first(self, ask: Conversation) -> Conversation:
        return ask  # the published template shows parts in their order

    def _size(self, medium: Media) -> tuple[int, int]:
        """(height, width) at which a medium is seen; frames have it already where a decoder brought them to it.

        Raises:
            InputError: its shape cannot be seen.
        """
        height, width = (medium.frames[0] if isinstance(medium, Clip) else medium.pixels).shape[:2]
        if isinstance(medium, Clip) and medium.fit == "native":
            return height, width
        try:
            return native_size(height, width, self._frame_sizes if isinstance(medium, Clip) else self.sizes)
        except MediaError as error:
            raise InputError(f"{medium.info.path}: {error}") from error

    def placeholders(self, medium: Media) -> tuple[Placeholder, ...]:
        height, width = self._size(medium)
        tokens = height * width // self.sizes.unit**2
        return (Placeholder(medium, "image", tokens, _BEFORE, _AFTER),) * self.pictures(medium)

    def slots(self, medium: Media) -> tuple[Shown, ...]:
        pictures = self.placeholders(medium)
        if not isinstance(medium, Clip):
            return pictures
        told = [Text(f"<{time:.1f} seconds>", by_user=False) for time in medium.times]
        return (Slot("video", tuple(span for pair in zip(told, pictures, strict=True) for span in pair)),)

    def model_class(self) -> type[LlavaOnevision2ForConditionalGeneration]:
        from llava_cli.models.llava_onevision2_model import LlavaOnevision2ForConditionalGeneration

        return LlavaOnevision2ForConditionalGeneration

    def vision_patches(self, media: Sequence[Media]) -> int:
        found = (self._pictures_together(medium) * self._patches_of(medium) for medium in media)
        return max(found, default=0)

    def _patches_of(self, medium: Media) -> int:
        """Of one of its pictures."""
        height, width = self._size(medium)
        return height * width // self._patch**2

    def _pictures_together(self, medium: Media) -> int:
        """How many of its pictures go through the tower at once."""
        return min(self.pictures(medium), max(1, _BATCH_PATCHES // self._patches_of(medium)))

    def encode(self, model: LlavaOnevision2ForConditionalGeneration, medium: Media) -> torch.Tensor:
        import torch

        together = self._pictures_together(medium)
        features = []
        for first in range(0, self.pictures(medium), together):
            patches, places = self.patches(medium, slice(first, first + together))
            seen = model.get_image_features(patches.to(model.device, model.dtype), places.to(model.device))
            features.append(seen.flatten(0, 1))
        return torch.cat(features)

    def patches(self, medium: Media, some: slice = slice(None)) -> tuple[torch.Tensor, torch.Tensor]:
        """The patches of a medium's pictures, and where each lies, both in the order in which they are merged.

        Returns:
            float32 [pictures, patches, 3 * patch size * patch size], normalized;
            time, row and column [pictures, patches, 3].
        """
        import torch

        seen = self.pixels(medium, some)
        count, _, height, width = seen.shape
        rows, columns = height // self._patch, width // self._patch
        grid = torch.cartesian_prod(torch.arange(rows), torch.arange(columns)).T.reshape(1, 2, rows, columns)
        in_picture = self._merged(grid, 1).expand(count, -1, -1)
        times = torch.zeros(count, dtype=torch.long)
        if isinstance(medium, Clip) and medium.positions == "index":
            times = torch.tensor(medium.indices[some])
        places = torch.cat((times[:, None, None].expand(-1, rows * columns, 1), in_picture), dim=-1)
        return self._merged(seen, self._patch), places

    def _merged(self, pictures: torch.Tensor, edge: int) -> torch.Tensor:
        """Cut [pictures, channels, height, width] into patches [pictures, patches, channels * edge * edge].

        They come block by block, for the merger to take.
        """
        count, channels, height, width = pictures.shape
        merge, block = self._merge, self._merge * edge
        cut = pictures.view(count, channels, height // block, merge, edge, width // block, merge, edge)
        return cut.permute(0, 2, 5, 3, 6, 1, 4, 7).reshape(count, height * width // edge**2, -1)

    def pixels(self, medium: Media, some: slice = slice(None)) -> torch.Tensor:
        """Normalized pixels of some of a medium's pictures, float32 [pictures, 3, height, width]."""
        pictures = medium.frames[some] if isinstance(medium, Clip) else medium.pixels[None]
        view = View(self._size(medium), "squash", self.view.sampling, self.preprocessing.resample)
        return self.preprocessing.numbers([bring_into_view(picture, view) for picture in pictures])
