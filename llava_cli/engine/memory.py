# SPDX-License-Identifier: Apache-2.0
"""Memory: how much a checkpoint and a prompt will take, how much there is, and telling that it ran out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
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
FIXED = 0.9 * GIB
"""The interpreter, the libraries, what a GPU's driver keeps for itself, and what loading leaves behind."""


@dataclass(frozen=True)
class Needs:
    """What a model and some prompts take, in bytes, wherever its layers lie."""

    rest: float
    """Weights of all that is no layer of the language model."""
    layers: tuple[float, ...]
    """Weights of each layer."""
    cache: float
    """Keys and values of one layer."""
    prefill: float
    """What running the prompts through a layer holds at its peak."""
    vision: float
    """What the vision tower holds at its peak."""


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
    fixed: float = FIXED
    devices: Mapping[str, MemoryPlan] = field(default_factory=dict)
    """Where there are several: what each holds. The sizes above are their sums then."""

    @property
    def total(self) -> float:
        return self.weights + self.cache + self.activations + self.fixed

    @property
    def sizes(self) -> dict[str, int]:
        """All of these in whole bytes; their total is the sum of what is taken."""
        taken = {name: int(getattr(self, name)) for name in ("weights", "cache", "activations", "fixed")}
        return taken | {"total": sum(taken.values()), "free": int(self.free)}

    def fits(self, share: float = 1.0) -> bool:
        """Whether no device holds more than this share of what it has."""
        return all(part.total <= part.free * share for part in self.devices.values() or [self])

    def __str__(self) -> str:
        if self.devices:
            return ", and ".join(f"{part} on {device}" for device, part in self.devices.items())
        parts = {"weights": self.weights, "cache": self.cache, "activations": self.activations}
        listed = ", ".join(f"{name} {n / GIB:.1f}" for name, n in parts.items())
        return f"{self.total / GIB:.1f} GiB ({listed}) of {self.free / GIB:.1f} GiB free"


def needs(
    model: PreTrainedModel,
    prompts: Sequence[tuple[int, int]],
    vision: float,
    quantization: Quantization | None,
    modules_to_not_convert: Sequence[str],
) -> Needs:
    """What a model (on the meta device, in the dtype it will have) takes for a batch of prompts.

    Args:
        prompts: tokens and new tokens of each.
        vision: what the vision tower holds at its peak; see `vision_peak`.
        modules_to_not_convert: full names of the modules that stay as they are.
    """
    size = model.dtype.itemsize
    text = model.config.get_text_config()
    head = getattr(text, "head_dim", None) or text.hidden_size // text.num_attention_heads
    cached = sum(tokens + new for tokens, new in prompts)
    longest = len(prompts) * max((tokens for tokens, _ in prompts), default=0)
    rest, layers = _weights(model, quantization, modules_to_not_convert)
    return Needs(
        rest=rest,
        layers=layers,
        cache=cached * 2 * text.num_key_value_heads * head * size,
        # The peak is in a layer's MLP: the residual, its norm (computed in float32), gate, up and their product,
        # beside the prompt's embeddings and the features that they were made from.
        prefill=longest * (size * (4 * text.hidden_size + 3 * text.intermediate_size) + 4 * text.hidden_size),
        vision=vision,
    )


def layer_names(model: PreTrainedModel) -> list[str]:
    """The full names of the language model's layers."""
    layers = model.get_decoder().layers
    stack = next(name for name, module in model.named_modules() if module is layers)
    return [f"{stack}.{number}" for number in range(len(layers))]


def _weights(
    model: PreTrainedModel, quantization: Quantization | None, modules_to_not_convert: Sequence[str]
) -> tuple[float, tuple[float, ...]]:
    """The bytes of all weights that are in no layer, and of those in each layer."""
    import torch

    quantized = {
        f"{name}.weight"
        for name, module in model.named_modules()
        if quantization and isinstance(module, torch.nn.Linear) and not name.startswith(tuple(modules_to_not_convert))
    }
    sizes = dict.fromkeys(layer_names(model), 0.0)
    stack = next(iter(sizes)).rpartition(".")[0] + "."
    rest = 0.0
    for name, weight in model.named_parameters():
        each = _QUANTIZED_BYTES[quantization] if quantization and name in quantized else weight.dtype.itemsize
        if name.startswith(stack):
            sizes[stack + name.removeprefix(stack).partition(".")[0]] += weight.numel() * each
        else:
            rest += weight.numel() * each
    return rest, tuple(sizes.values())


def vision_peak(model: PreTrainedModel, patches: int, keeps_hidden_states: bool) -> float:
    """The bytes that the vision tower holds at its peak.

    Args:
        patches: so many go through it together.
        keeps_hidden_states: those of all its layers; with the MLP's of the last one on top.
    """
    vision, size = model.config.vision_config, model.dtype.itemsize
    if keeps_hidden_states:
        layers = vision.num_hidden_layers + 1
        return float(patches * size * (layers * vision.hidden_size + 2 * vision.intermediate_size))
    # In a layer, where keys are turned in float32: what came in, their norm, queries, keys and values, and five copies
    # of the keys; or in its MLP. Measured on the CPU, to a percent.
    turning = vision.hidden_size * (8 * size + 5 * 4)
    mlp = size * (3 * vision.hidden_size + 2 * vision.intermediate_size)
    return float(patches * max(turning, mlp))


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
