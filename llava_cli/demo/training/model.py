# SPDX-License-Identifier: Apache-2.0
"""The demo model's architecture and optimiser, for the training script."""

from __future__ import annotations

import math
from collections.abc import Iterable

import torch
from torch import nn
from transformers import CLIPVisionConfig, LlamaConfig, LlavaNextVideoConfig, LlavaNextVideoForConditionalGeneration

from llava_cli.demo.training.pixels import FRAME_TOKENS, FRAMES, GRID, PATCH, PINPOINTS, SIDE
from llava_cli.demo.training.tokenizer import BOS, EOS, IMAGE, PAD, VIDEO, VOCABULARY

VISION_WIDTH = 96
# A multiple of 32: the 4-bit arithmetic that bitsandbytes has for CPUs takes no other.
TEXT_WIDTH = 160
TEXT_LAYERS = 4


def build_model() -> LlavaNextVideoForConditionalGeneration:
    """Return the untrained model, its patch filters and places laid out so that edges and positions come cheap."""
    vision = CLIPVisionConfig(
        hidden_size=VISION_WIDTH, intermediate_size=4 * VISION_WIDTH, num_hidden_layers=4, num_attention_heads=4,
        image_size=SIDE, patch_size=PATCH, projection_dim=VISION_WIDTH, hidden_act="gelu",
    )  # fmt: skip
    text = LlamaConfig(
        hidden_size=TEXT_WIDTH, intermediate_size=384, num_hidden_layers=TEXT_LAYERS, num_attention_heads=5,
        num_key_value_heads=5, vocab_size=VOCABULARY, max_position_embeddings=2048, tie_word_embeddings=True,
        bos_token_id=BOS, eos_token_id=EOS, pad_token_id=PAD,
    )  # fmt: skip
    config = LlavaNextVideoConfig(
        vision_config=vision, text_config=text, image_token_index=IMAGE, video_token_index=VIDEO,
        image_grid_pinpoints=[list(pinpoint) for pinpoint in PINPOINTS], vision_feature_layer=-1,
        tie_word_embeddings=True, image_seq_length=GRID**2, video_seq_length=FRAMES * FRAME_TOKENS,
    )  # fmt: skip
    model = LlavaNextVideoForConditionalGeneration(config)
    tower = model.model.vision_tower
    embeddings = tower.embeddings if hasattr(tower, "embeddings") else tower.vision_model.embeddings
    with torch.no_grad():
        embeddings.patch_embedding.weight.copy_(_cosine_filters())
        embeddings.position_embedding.weight[1:].copy_(_wave_places())
    return model


def _cosine_filters() -> torch.Tensor:
    """Return patch filters [width, 3, PATCH, PATCH]: cosine waves, over half for lightness, the rest for two hues."""
    place = torch.arange(PATCH) + 0.5
    waves = [torch.cos(math.pi * place * order / PATCH) * (1 if order else 0.5) ** 0.5 for order in range(PATCH)]
    orders = sorted(((u, v) for u in range(PATCH) for v in range(PATCH)), key=lambda uv: (uv[0] ** 2 + uv[1] ** 2, uv))
    light = round(0.55 * VISION_WIDTH)
    hue = (VISION_WIDTH - light) // 2
    plan = (((0.58, 0.58, 0.58), light), ((0.71, 0.0, -0.71), hue), ((0.41, -0.82, 0.41), VISION_WIDTH - light - hue))
    filters = []
    for channels, count in plan:
        for u, v in orders[:count]:
            gain = 0.35 * math.sqrt(1 + u * u + v * v) * 2 / PATCH**2
            filters.append(gain * torch.tensor(channels)[:, None, None] * torch.outer(waves[u], waves[v]))
    return torch.stack(filters)


def _wave_places(amplitude: float = 0.4) -> torch.Tensor:
    """Return position embeddings [patches, width]: waves along the rows, the columns and both diagonals."""
    y, x = (axis.flatten() + 0.5 for axis in torch.meshgrid(torch.arange(GRID), torch.arange(GRID), indexing="ij"))
    count = VISION_WIDTH // 4
    index = torch.arange(count)
    pitch = math.pi * (index % (count // 2) + 1) / GRID
    phase = torch.where(index < count // 2, 0.0, math.pi / 2)
    axes = (x, y, (x + y) / 2, (x - y) / 2)
    return amplitude * torch.cat([torch.cos(axis[:, None] * pitch + phase) for axis in axes], dim=1)


class Optimiser:
    """Muon for the matrices of the layers, AdamW for everything else.

    With AdamW alone the vision tower did not learn to tell the shapes apart within this budget.
    """

    def __init__(
        self, parameters: Iterable[tuple[str, nn.Parameter]], steps: int, warmup: int = 40, scale: float = 1.0
    ) -> None:
        matrices: list[nn.Parameter] = []
        others: list[nn.Parameter] = []
        for name, parameter in parameters:
            matrix = parameter.ndim == 2 and ("layers." in name or "multi_modal" in name)
            (matrices if matrix else others).append(parameter)
        self._all = matrices + others
        muon = torch.optim.Muon(matrices, lr=0.02 * scale, momentum=0.95, weight_decay=0.02)
        adam = torch.optim.AdamW(others, lr=2e-3 * scale, betas=(0.9, 0.98), weight_decay=0.0, fused=True)
        self._both = (muon, adam)

        def rate(step: int) -> float:
            return min(1.0, (step + 1) / warmup) * (0.02 + 0.49 * (1 + math.cos(math.pi * min(step / steps, 1.0))))

        self._schedules = [torch.optim.lr_scheduler.LambdaLR(one, rate) for one in self._both]

    def step(self, loss: torch.Tensor) -> None:
        """Go one step down the loss."""
        torch.autograd.backward(loss)
        nn.utils.clip_grad_norm_(self._all, 1.0)
        for optimiser, schedule in zip(self._both, self._schedules, strict=True):
            optimiser.step()
            optimiser.zero_grad()
            schedule.step()


def fast_arithmetic() -> torch.autocast:
    """Return a context that computes in bfloat16 where the processor can."""
    able = torch.cpu._is_avx512_bf16_supported()
    return torch.autocast("cpu", dtype=torch.bfloat16, enabled=able)
