# SPDX-License-Identifier: Apache-2.0
"""LLaVA-Video as a transformers model: LLaVA-OneVision with the authors' own pooling and places for newlines."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch.nn import functional
from transformers import LlavaOnevisionConfig, LlavaOnevisionForConditionalGeneration, LlavaOnevisionModel
from transformers.modeling_outputs import BaseModelOutputWithPooling

# The released code pools by this, whatever the config's `mm_spatial_pool_stride` says.
STRIDE = 2


class LlavaVideoModel(LlavaOnevisionModel):
    """Reads `mm_spatial_pool_mode` and `mm_newline_position` from its config."""

    def apply_pooling(self, image_features: torch.Tensor) -> torch.Tensor:
        """The features of each frame: [frames, patches, hidden size] to [frames, fewer, hidden size]."""
        frames, patches, hidden_size = image_features.shape
        side = math.isqrt(patches)
        grid = image_features.view(frames, side, side, hidden_size).permute(0, 3, 1, 2)
        grid = _pool(grid, self.config.mm_spatial_pool_mode).permute(0, 2, 3, 1)
        newline = self.image_newline.to(grid)
        if self.config.mm_newline_position == "grid":
            grid = torch.cat((grid, newline.expand(frames, grid.shape[1], 1, -1)), dim=2)
        rows = grid.flatten(1, 2)
        if self.config.mm_newline_position == "frame":
            rows = torch.cat((rows, newline.expand(frames, 1, -1)), dim=1)
        return rows

    def get_video_features(self, pixel_values_videos: torch.Tensor, **options: Any) -> BaseModelOutputWithPooling:
        """`pooler_output` is [videos, visual tokens, hidden size]."""
        output = super().get_video_features(pixel_values_videos, **options | {"return_dict": True})
        if self.config.mm_newline_position != "one_token":
            # LLaVA-OneVision ends every video with a newline.
            output.pooler_output = output.pooler_output[:, :-1]
        return output


def _pool(grid: torch.Tensor, mode: str) -> torch.Tensor:
    """Pool [frames, hidden size, rows, columns]; only the bilinear mode keeps what an odd edge leaves over."""
    if mode == "average":
        return functional.avg_pool2d(grid, STRIDE)
    if mode == "max":
        return functional.max_pool2d(grid, STRIDE)
    size = [math.ceil(edge / STRIDE) for edge in grid.shape[2:]]
    return functional.interpolate(grid, size=size, mode="bilinear")


class LlavaVideoForConditionalGeneration(LlavaOnevisionForConditionalGeneration):
    """LLaVA-Video with its language model's head."""

    def __init__(self, config: LlavaOnevisionConfig) -> None:
        super().__init__(config)
        self.model = LlavaVideoModel(config)
        self.post_init()
