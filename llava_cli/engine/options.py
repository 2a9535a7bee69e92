# SPDX-License-Identifier: Apache-2.0
"""How a checkpoint is to be loaded."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Dtype = Literal["auto", "float32", "bfloat16", "float16"]
Attention = Literal["sdpa", "eager", "flash_attention_2"]


@dataclass(frozen=True)
class LoadOptions:
    """Where and in which numbers a checkpoint runs; `auto` is what the machine does best."""

    device: str = "auto"
    dtype: Dtype = "auto"
    attention: Attention = "sdpa"
    quantization: Literal["4bit"] | None = None
