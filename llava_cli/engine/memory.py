# SPDX-License-Identifier: Apache-2.0
"""Memory: how much a checkpoint and a prompt will take, how much there is, and telling that it ran out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from llava_cli.engine.types import Quantization
from llava_cli.errors import OutOfMemory, forget_origin
from llava_cli.machine import available_memory

if TYPE_CHECKING:
    from transformers import PreTrainedModel

GIB = 1 << 30

# Bytes a weight takes when quantized, its scales included: nf4 has one scale for 64 weights, which is kept in 8 bit but
# unpacked to 32 when it is used; int8 has one 32-bit scale for each row.
_QUANTIZED_BYTES = {"4bit": 0.5 + 4 / 64, "8bit": 1.0}
# The interpreter, the libraries, what a GPU's driver keeps for itself, and what loading leaves behind.
_FIXED = 0.9 * GIB


@dataclass(frozen=True)
class MemoryPlan:
    """What a model and its longest prompt take, in bytes."""

    weights: float
    cache: float
    """Keys and values of the prompt and the answer."""
    activations: float
    """The larger of what the vision tower and the prefill hold at their peak."""
    free: float
    """What the device has."""
    fixed: float = _FIXED

    @property
    def total(self) -> float:
        return self.weights + self.cache + self.activations + self.fixed

    def __str__(self) -> str:
        parts = {"weights": self.weights, "cache": self.cache, "activations": self.activations}
        listed = ", ".join(f"{name} {n / GIB:.1f}" for name, n in parts.items())
        return f"{self.total / GIB:.1f} GiB ({listed}) of {self.free / GIB:.1f} GiB free"


def plan(
    model: PreTrainedModel,
    prompts: Sequence[tuple[int, int]],
    vision_batch_size: int,
    quantization: Quantization | None,
    modules_to_not_convert: Sequence[str],
    free: float,
) -> MemoryPlan:
    """The memory that a model (on the meta device, in the dtype it will have) takes for a batch of prompts.

    Args:
        prompts: tokens and new tokens of each.
        vision_batch_size: frames or tiles that go through the vision tower together.
        modules_to_not_convert: full names of the modules that stay as they are.
        free: bytes that the device has.
    """
    size = model.dtype.itemsize
    text = model.config.get_text_config()
    head = getattr(text, "head_dim", None) or text.hidden_size // text.num_attention_heads
    cached = sum(tokens + new for tokens, new in prompts)
    longest = len(prompts) * max((tokens for tokens, _ in prompts), default=0)
    # The prefill's peak is in a layer's MLP: the residual, its norm (computed in float32), gate, up and their product,
    # beside the prompt's embeddings and the features that they were made from.
    prefill = longest * (size * (4 * text.hidden_size + 3 * text.intermediate_size) + 4 * text.hidden_size)
    return MemoryPlan(
        weights=_weights(model, quantization, modules_to_not_convert),
        cache=cached * 2 * text.num_hidden_layers * text.num_key_value_heads * head * size,
        activations=max(prefill, _vision(model, vision_batch_size)),
        free=free,
    )


def _weights(model: PreTrainedModel, quantization: Quantization | None, modules_to_not_convert: Sequence[str]) -> float:
    import torch

    full = sum(weight.numel() * weight.dtype.itemsize for weight in model.parameters())
    if quantization is None:
        return float(full)
    quantized = [
        module.weight
        for name, module in model.named_modules()
        if isinstance(module, torch.nn.Linear) and not name.startswith(tuple(modules_to_not_convert))
    ]
    saved = sum(weight.numel() * (weight.dtype.itemsize - _QUANTIZED_BYTES[quantization]) for weight in quantized)
    return full - saved


def _vision(model: PreTrainedModel, images: int) -> float:
    """The tower keeps the hidden states of all its layers; in the last one, the MLP's on top."""
    vision = model.config.vision_config
    patches = (vision.image_size // vision.patch_size) ** 2 + 1
    layers = vision.num_hidden_layers + 1
    return float(images * patches * model.dtype.itemsize * (layers * vision.hidden_size + 2 * vision.intermediate_size))


def free_memory(device: str) -> int:
    """Bytes that are free on a device."""
    import torch

    if device.startswith("cuda"):
        return int(torch.cuda.mem_get_info(device)[0])
    if device == "mps":
        return int(torch.mps.recommended_max_memory() - torch.mps.driver_allocated_memory())
    return available_memory()


def is_out_of_memory(error: BaseException) -> bool:
    """Whether this exception says that a device or the machine is out of memory."""
    if isinstance(error, MemoryError):
        return True
    if not isinstance(error, Exception):
        return False
    from accelerate.utils.memory import should_reduce_batch_size

    return bool(should_reduce_batch_size(error))


def release(error: BaseException) -> None:
    """Give back to the devices what a failed call held, and what the libraries keep for later."""
    from accelerate.utils.memory import clear_device_cache

    forget_origin(error)
    clear_device_cache(garbage_collection=True)


@contextmanager
def out_of_memory_as(message: str) -> Iterator[None]:
    """Turn any library's way of running out of memory into `OutOfMemory` with this message."""
    try:
        yield
    except Exception as error:
        if is_out_of_memory(error):
            raise OutOfMemory(message) from error
        raise
