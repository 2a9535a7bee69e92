# SPDX-License-Identifier: Apache-2.0
"""Random weights that are made when they are read: a model of any size without a file, through the real loader."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel

_BLOCK = 1 << 20
_NAMES = {"float32": "F32", "bfloat16": "BF16", "float16": "F16"}


class RandomWeight:
    """One weight, with the part of a safetensors slice's interface that loaders use."""

    def __init__(self, like: torch.Tensor, block: torch.Tensor) -> None:
        self.shape = like.shape
        self.dtype = like.dtype
        self.ndim = like.ndim
        self._block = block

    def __getitem__(self, index: Any) -> torch.Tensor:
        # One block of random numbers over and over: drawing billions would take longer than reading them from disk.
        copies = -(-self.shape.numel() // _BLOCK)
        return self._block.repeat(copies)[: self.shape.numel()].view(self.shape)[index]

    def get_shape(self) -> list[int]:
        return list(self.shape)

    def get_dtype(self) -> str:
        return _NAMES[str(self.dtype).removeprefix("torch.")]


def random_weights(model: PreTrainedModel) -> dict[str, RandomWeight]:
    """Weights for a model on the meta device, by name."""
    import torch

    generator = torch.Generator().manual_seed(0)
    block = torch.empty(_BLOCK, dtype=model.dtype).uniform_(-0.03, 0.03, generator=generator)
    return {name: RandomWeight(weight, block) for name, weight in model.state_dict().items()}
