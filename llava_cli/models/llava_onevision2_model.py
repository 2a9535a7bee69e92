# SPDX-License-Identifier: Apache-2.0
"""LLaVA-OneVision-2 as a transformers model: a tower for pictures of any size, a merger of patches, Qwen3.

Patches come in the order of the merger's blocks, each with its place in the picture, and every frame sees itself alone.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.nn import functional
from transformers import Cache, GenerationMixin, PreTrainedModel, Qwen3Model
from transformers.activations import ACT2FN
from transformers.modeling_outputs import CausalLMOutputWithPast

from llava_cli.models.llava_onevision2_config import LlavaOnevision2Config, LlavaOnevision2VisionConfig

_SHARES = (4, 6, 6)
"""Of a head's sixteen pairs of numbers: those that turn with a patch's time, its row and its column."""


def rope_angles(places: torch.Tensor, head_dim: int, theta: float) -> torch.Tensor:
    """The angles by which the numbers of each head turn, in float32: [..., patches, head_dim].

    Made anew each time: frequencies that are kept with a model would take its 16 bits.

    Args:
        places: time, row and column of each patch [..., patches, 3].
    """
    counts = [head_dim // 2 * share // sum(_SHARES) for share in _SHARES]
    of_axes = [
        places[..., axis, None].float() * theta ** -(torch.arange(count, device=places.device).float() / count)
        for axis, count in enumerate(counts)
    ]
    half = torch.cat(of_axes, dim=-1)
    return torch.cat((half, half), dim=-1)


def turned(states: torch.Tensor, angles: torch.Tensor) -> torch.Tensor:
    """Queries or keys [..., head_dim], each number turned by its own angle, with its neighbour; as trained.

    Neighbours have different angles, so that this is no rotation, and a shift of all places changes what is seen.
    """
    numbers = states.float()
    first, second = numbers[..., 0::2], numbers[..., 1::2]
    neighbours = torch.stack((-second, first), dim=-1).flatten(-2)
    return (numbers * angles.cos() + neighbours * angles.sin()).to(states.dtype)


class Attention(nn.Module):
    """Every patch of a frame looks at all of them."""

    def __init__(self, config: LlavaOnevision2VisionConfig) -> None:
        super().__init__()
        self.heads = config.num_attention_heads
        self.qkv = nn.Linear(config.hidden_size, 3 * config.hidden_size)
        self.proj = nn.Linear(config.hidden_size, config.hidden_size)

    def forward(self, states: torch.Tensor, angles: torch.Tensor) -> torch.Tensor:
        """[frames, patches, hidden size] to the same; `angles` is [frames, 1, patches, head_dim]."""
        query, key, value = self.qkv(states).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        seen = functional.scaled_dot_product_attention(turned(query, angles), turned(key, angles), value)
        return self.proj(seen.transpose(1, 2).flatten(2))


class MLP(nn.Module):
    """Two layers, within a block of the tower."""

    def __init__(self, config: LlavaOnevision2VisionConfig) -> None:
        super().__init__()
        self.fc1 = nn.Linear(config.hidden_size, config.intermediate_size)
        self.fc2 = nn.Linear(config.intermediate_size, config.hidden_size)
        self.activation = ACT2FN[config.hidden_act]

    def forward(self, states: torch.Tensor) -> torch.Tensor:
        return self.fc2(self.activation(self.fc1(states)))


class Block(nn.Module):
    """One layer of the tower."""

    def __init__(self, config: LlavaOnevision2VisionConfig) -> None:
        super().__init__()
        self.layer_norm1 = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)
        self.self_attn = Attention(config)
        self.layer_norm2 = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)
        self.mlp = MLP(config)

    def forward(self, states: torch.Tensor, angles: torch.Tensor) -> torch.Tensor:
        states = states + self.self_attn(self.layer_norm1(states), angles)
        return states + self.mlp(self.layer_norm2(states))


class Embeddings(nn.Module):
    """From the numbers of a patch to its state. The weights lie as a convolution's; what they do is a linear map."""

    def __init__(self, config: LlavaOnevision2VisionConfig) -> None:
        super().__init__()
        edge = config.patch_size
        self.patch_embedding = nn.Conv2d(3, config.hidden_size, kernel_size=edge, stride=edge, bias=False)

    def forward(self, patches: torch.Tensor) -> torch.Tensor:
        """[..., 3 * patch size * patch size] to [..., hidden size]."""
        return functional.linear(patches, self.patch_embedding.weight.flatten(1))


class Encoder(nn.Module):
    """The blocks of the tower."""

    def __init__(self, config: LlavaOnevision2VisionConfig) -> None:
        super().__init__()
        self.layers = nn.ModuleList(Block(config) for _ in range(config.num_hidden_layers))

    def forward(self, states: torch.Tensor, angles: torch.Tensor) -> torch.Tensor:
        for layer in self.layers:
            states = layer(states, angles)
        return states


class Merger(nn.Module):
    """Makes one feature of a block of patches, as wide as the language model."""

    def __init__(self, config: LlavaOnevision2VisionConfig, text_size: int) -> None:
        super().__init__()
        self.together = config.spatial_merge_size**2
        width = self.together * config.hidden_size
        self.ln_q = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)
        self.mlp = nn.Sequential(nn.Linear(width, width), nn.GELU(), nn.Linear(width, text_size))

    def forward(self, states: torch.Tensor) -> torch.Tensor:
        """[frames, patches, hidden size] to [frames, blocks, the language model's hidden size]."""
        return self.mlp(self.ln_q(states).unflatten(1, (-1, self.together)).flatten(2))


class VisionTower(nn.Module):
    """From the patches of frames to features."""

    def __init__(self, config: LlavaOnevision2VisionConfig, text_size: int) -> None:
        super().__init__()
        self.head_dim = config.hidden_size // config.num_attention_heads
        self.rope_theta = config.rope_theta
        self.embeddings = Embeddings(config)
        self.layernorm_pre = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)
        self.encoder = Encoder(config)
        self.merger = Merger(config, text_size)

    def forward(self, patches: torch.Tensor, places: torch.Tensor) -> torch.Tensor:
        """Features [frames, blocks, the language model's hidden size].

        Args:
            patches: of frames of one size [frames, patches, 3 * patch size * patch size], block by block.
            places: time, row and column of each [frames, patches, 3].
        """
        angles = rope_angles(places, self.head_dim, self.rope_theta)[:, None]
        states = self.layernorm_pre(self.embeddings(patches))
        return self.merger(self.encoder(states, angles))


class LlavaOnevision2PreTrainedModel(PreTrainedModel):
    """What the classes here have in common."""

    config: LlavaOnevision2Config
    config_class = LlavaOnevision2Config
    base_model_prefix = "model"
    _no_split_modules = ("Block", "Qwen3DecoderLayer")
    _skip_keys_device_placement = ("past_key_values",)
    _supports_sdpa = True
    _supports_flash_attn = True
    _supports_attention_backend = True


class LlavaOnevision2Model(LlavaOnevision2PreTrainedModel):
    """The tower and the language model."""

    def __init__(self, config: LlavaOnevision2Config) -> None:
        super().__init__(config)
        text = config.get_text_config()
        self.visual = VisionTower(config.vision_config, text.hidden_size)
        self.language_model = Qwen3Model._from_config(text)
        self.post_init()

    def get_input_embeddings(self) -> nn.Module:
        return self.language_model.get_input_embeddings()

    def forward(self, *inputs: Any, **options: Any) -> Any:
        """What the language model gives."""
        return self.language_model(*inputs, **options)


class LlavaOnevision2ForConditionalGeneration(LlavaOnevision2PreTrainedModel, GenerationMixin):
    """LLaVA-OneVision-2 with its language model's head."""

    def __init__(self, config: LlavaOnevision2Config) -> None:
        super().__init__(config)
        text = config.get_text_config()
        self.model = LlavaOnevision2Model(config)
        self.lm_head = nn.Linear(text.hidden_size, text.vocab_size, bias=False)
        self.post_init()

    def get_input_embeddings(self) -> nn.Module:
        return self.model.get_input_embeddings()

    def get_decoder(self) -> nn.Module:
        return self.model.language_model

    def get_image_features(self, patches: torch.Tensor, places: torch.Tensor) -> torch.Tensor:
        """Features of frames: see `VisionTower`."""
        return self.model.visual(patches, places)

    def forward(
        self,
        input_ids: torch.Tensor | None = None,
        inputs_embeds: torch.Tensor | None = None,
        past_key_values: Cache | None = None,
        logits_to_keep: int = 0,
        **options: Any,
    ) -> CausalLMOutputWithPast:
        """The logits of a prompt in which features have taken the place of placeholders."""
        output = self.model(
            input_ids=input_ids, inputs_embeds=inputs_embeds, past_key_values=past_key_values, **options
        )
        logits = self.lm_head(output.last_hidden_state[:, -logits_to_keep:])
        return CausalLMOutputWithPast(logits=logits, past_key_values=output.past_key_values)
