# SPDX-License-Identifier: Apache-2.0
"""What this machine does at most, measured: how fast it reads its memory, and multiplies matrices."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch.utils.flop_counter import FlopCounterMode
from transformers import PreTrainedModel

from llava_cli.engine.memory import GIB

_TRIES = 5


@dataclass(frozen=True)
class Speed:
    """Of one device."""

    memory: float
    """Bytes a second out of its memory, and into it."""
    upload: float
    """Bytes a second from the machine's memory to the device's."""
    products: float
    """Floating-point operations a second in a product of large matrices of the dtype that is used."""

    def token_s(self, weights: float, cache: float) -> float:
        """The least seconds that a token takes: every weight, and all keys and values, are read once."""
        return (weights + cache) / self.memory

    def compute_s(self, operations: float) -> float:
        """The least seconds that so many floating-point operations take."""
        return operations / self.products

    def load_s(self, weights: float) -> float:
        """The least seconds that bringing so many bytes to the device takes."""
        return weights / self.upload

    def __str__(self) -> str:
        return f"memory {self.memory / 1e9:,.0f} GB/s, matrix products {self.products / 1e9:,.0f} GFLOP/s"


def measure(device: str, dtype: torch.dtype) -> Speed:
    """Measure a device; takes a few seconds at most."""
    on_gpu = device.startswith("cuda")
    count = (GIB if on_gpu else GIB // 4) // 4
    source = torch.ones(count, device=device)
    target = torch.empty_like(source)
    size = source.numel() * source.element_size()
    copying = 2 * size / _least(lambda: target.copy_(source), device)  # each byte is read, and written
    reading = size / _least(lambda: source.sum(), device)
    memory = upload = max(copying, reading)
    if on_gpu:
        here = torch.ones(count // 4, pin_memory=True)
        upload = size / 4 / _least(lambda: target[: count // 4].copy_(here, non_blocking=True), device)
    side = 8192 if on_gpu else 1536
    left, right = (torch.ones(side, side, device=device, dtype=dtype) for _ in range(2))
    return Speed(memory, upload, 2 * side**3 / _least(lambda: left @ right, device))


def operations(run: Callable[[], object]) -> int:
    """The floating-point operations of a run's matrix products and convolutions; attention's own are left out."""
    with FlopCounterMode(display=False) as counter:
        run()
    by_kind = counter.get_flop_counts()["Global"]
    return sum(count for kind, count in by_kind.items() if "attention" not in str(kind))


def weight_bytes(module: torch.nn.Module) -> int:
    """Bytes of all weights; one that is used twice counts once."""
    return sum(_sizes(module).values())


def bytes_per_token(model: PreTrainedModel) -> int:
    """Bytes of the weights that one more token needs: the language model's and its head's.

    Of the input embeddings it needs one row, unless the head is the same weight.
    """
    head, words = model.get_output_embeddings(), model.get_input_embeddings()
    sizes = _sizes(model.get_decoder()) | _sizes(head)
    if words.weight is not head.weight:
        sizes.pop(id(words.weight), None)
    return sum(sizes.values())


def _sizes(module: torch.nn.Module) -> dict[int, int]:
    """Bytes of each weight, by identity."""
    return {id(weight): weight.numel() * weight.element_size() for weight in module.parameters()}


def synchronize(device: str) -> None:
    """Wait for all that a device has been told to do."""
    if device.startswith("cuda"):
        torch.cuda.synchronize(device)


def timed(run: Callable[[], object], device: str) -> float:
    """Seconds that a run takes, to its end on the device."""
    synchronize(device)
    started = time.perf_counter()
    run()
    synchronize(device)
    return time.perf_counter() - started


def _least(run: Callable[[], object], device: str) -> float:
    timed(run, device)
    return min(timed(run, device) for _ in range(_TRIES))
