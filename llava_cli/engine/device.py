# SPDX-License-Identifier: Apache-2.0
"""Where a checkpoint runs, and in which numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from llava_cli.engine.memory import free_memory
from llava_cli.engine.types import Dtype
from llava_cli.errors import UsageError

if TYPE_CHECKING:
    import torch

    from llava_cli.models.family import Family

# On the CPU float32 is exact and fast, as long as it leaves memory for the rest of the machine.
_CPU_SHARE = 0.6


def choose_device(wanted: str) -> str:
    """The device's full name; `auto` is the first GPU there is.

    Raises:
        UsageError: the machine has no such device.
    """
    import torch

    if wanted == "auto":
        if torch.cuda.is_available():
            return "cuda:0"
        return "mps" if torch.backends.mps.is_available() else "cpu"
    try:
        torch.empty(0, device=torch.device(wanted))
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        line = str(error).partition("\n")[0]
        raise UsageError(f"--device {wanted}: not available on this machine ({line}); try --device cpu") from error
    return "cuda:0" if wanted == "cuda" else wanted


def choose_dtype(wanted: Dtype, device: str, family: Family) -> torch.dtype:
    """The number format; `auto` is the best that the device does and the family bears."""
    import torch

    if wanted != "auto":
        return {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}[wanted]
    if device.startswith("cuda"):
        native = torch.cuda.is_bf16_supported(including_emulation=False)
        return torch.bfloat16 if native or not family.supports_float16 else torch.float16
    if device == "mps":
        return torch.float16 if family.supports_float16 else torch.bfloat16
    # Released weights are in 16 bit: float32 takes twice their size.
    sizes = [file.stat().st_size for file in family.checkpoint.folder.glob("*.safetensors")]
    return torch.float32 if sizes and 2 * sum(sizes) < _CPU_SHARE * free_memory(device) else torch.bfloat16


def has_flash_attention() -> bool:
    """Whether flash_attention_2 is installed, and can run here."""
    from transformers.utils import is_flash_attn_2_available

    return bool(is_flash_attn_2_available())
