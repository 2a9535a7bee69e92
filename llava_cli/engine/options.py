# SPDX-License-Identifier: Apache-2.0
"""How a checkpoint is to be loaded."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Dtype = Literal["auto", "float32", "bfloat16", "float16"]
Attention = Literal["sdpa", "eager", "flash_attention_2"]
Quantization = Literal["4bit", "8bit"]


@dataclass(frozen=True)
class LoadOptions:
    """Where and in which numbers a checkpoint runs; `auto` is what the machine does best."""

    device: str = "auto"
    dtype: Dtype = "auto"
    attention: Attention = "sdpa"
    quantization: Quantization | None = None
    quantize_all: bool = False
    """Quantize the vision tower and the projector too; by default only the language model's layers are."""
