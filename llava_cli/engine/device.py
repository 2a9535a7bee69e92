# SPDX-License-Identifier: Apache-2.0
"""What there is to run a checkpoint on, where it runs, and in which numbers."""

from __future__ import annotations

import platform
import time
from collections.abc import Iterator, Sequence

import torch

from llava_cli.engine.device_map import AUTO, CPU, DISK
from llava_cli.engine.memory import GIB
from llava_cli.engine.types import Dtype, LoadOptions
from llava_cli.errors import UsageError
from llava_cli.machine import cores, memory_limit
from llava_cli.models.family import Family
from llava_cli.remembered import remembered

CUDA_BUILD: str | None = torch.version.cuda
"""The CUDA that torch is built for."""

# On the CPU float32 is exact, as long as it leaves memory for the rest of the machine.
_CPU_SHARE = 0.6

# Checkpoints so small answer at once, whatever the numbers.
_SMALL = 200_000_000

# By less, numbers with fewer digits are not worth it.
_FASTER = 1.3


def chosen_devices(options: LoadOptions) -> dict[str, int | None]:
    """The devices that a checkpoint is loaded to, by full name, with the bytes of each that may be used (None: all).

    The first one computes, and is never `disk`.

    Raises:
        UsageError: the machine has no such device.
    """
    if options.device_map is None:
        return {choose_device(options.device): None}
    chosen: dict[str, int | None] = {}
    for name, limit in options.device_map.limits:
        if name == AUTO:
            chosen |= dict.fromkeys(gpus() or [choose_device(AUTO)], limit)
        elif name in (CPU, DISK):
            chosen[name] = limit
        else:
            chosen[choose_device(name, "--device-map")] = limit
    if "mps" in chosen and len(chosen) > 1:
        raise UsageError("--device-map: this machine's GPU uses the memory of the CPU; leave the other devices out")
    return chosen


def wider_maps(options: LoadOptions, devices: Sequence[str], quantized: bool) -> Iterator[tuple[str, list[str]]]:
    """Maps of more devices than these, which were chosen: as users write them, with what they stand for.

    Only beside a GPU: on a CPU alone layers from the disk are too slow to be a remedy.
    """
    if not devices[0].startswith("cuda"):
        return
    text = options.device_map.text if options.device_map else devices[0].removeprefix("cuda:")
    wider = list(devices)
    if options.device_map is None and len(gpus()) > 1:
        text, wider = AUTO, gpus()
        yield text, wider
    for device in () if quantized else (CPU, DISK):
        if device not in wider:
            text, wider = f"{text},{device}", [*wider, device]
            yield text, wider


def gpus() -> list[str]:
    """The full names of all GPUs that have a memory of their own."""
    return [f"cuda:{number}" for number in range(torch.cuda.device_count())]


def choose_device(wanted: str, option: str = "--device") -> str:
    """The device's full name; `auto` is the first GPU there is.

    Raises:
        UsageError: the machine has no such device.
    """
    if wanted == AUTO:
        if torch.cuda.is_available():
            return "cuda:0"
        return "mps" if torch.backends.mps.is_available() else CPU
    try:
        torch.empty(0, device=torch.device(wanted))
    except (RuntimeError, AssertionError, NotImplementedError, ImportError) as error:
        others = ", ".join([CPU, *(name for name, _ in accelerators())])
        raise UsageError(
            f"{option} {wanted}: not available on this machine, which has {others}; try {option} {CPU}, or llava doctor"
        ) from error
    return "cuda:0" if wanted == "cuda" else wanted


def choose_dtype(wanted: Dtype, device: str, family: Family, parameters: int) -> torch.dtype:
    """The number format; `auto` is the best that the device does and the family supports.

    It follows from the checkpoint and the machine alone, not from what is downloaded or free just now: a list that is
    continued must not change its numbers. On the CPU it is float32, but for what does not fit so, or where bfloat16 is
    much faster.

    Args:
        parameters: how many the checkpoint has.
    """
    if wanted != "auto":
        return {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}[wanted]
    if device.startswith("cuda"):
        native = torch.cuda.is_bf16_supported(including_emulation=False)
        return torch.bfloat16 if native or not family.supports_float16 else torch.float16
    if device == "mps":
        return torch.float16 if family.supports_float16 else torch.bfloat16
    if parameters * 4 >= _CPU_SHARE * memory_limit():
        return torch.bfloat16
    return torch.bfloat16 if parameters >= _SMALL and bfloat16_gain() > _FASTER else torch.float32


def bfloat16_gain() -> float:
    """How many times as fast as in float32 this CPU multiplies matrices in bfloat16.

    Processors with instructions for it (AVX-512 BF16, AMX) gain twofold and more, others lose. Measured once on a
    machine and remembered, for lists to go on in the same numbers.
    """
    about = [platform.node(), platform.machine(), torch.__version__, str(cores())]
    return float(remembered("bfloat16", about, _measured_gain))


def _measured_gain() -> float:
    seconds = {}
    for dtype in (torch.float32, torch.bfloat16):
        some, weights = torch.ones(512, 1024, dtype=dtype), torch.ones(1024, 1024, dtype=dtype)
        runs = []
        for _ in range(8):
            started = time.perf_counter()
            torch.nn.functional.linear(some, weights)
            runs.append(time.perf_counter() - started)
        seconds[dtype] = min(runs)
    return seconds[torch.float32] / seconds[torch.bfloat16]


def has_flash_attention() -> bool:
    """Whether flash_attention_2 is installed, and can run here."""
    from transformers.utils import is_flash_attn_2_available

    return bool(is_flash_attn_2_available())


def accelerators() -> list[tuple[str, str]]:
    """The name of each GPU, as --device takes it, and what it is."""
    found = []
    for gpu in gpus():
        free, total = torch.cuda.mem_get_info(gpu)
        found.append((gpu, f"{torch.cuda.get_device_name(gpu)}, {free / GIB:.1f} of {total / GIB:.1f} GiB free"))
    if torch.backends.mps.is_available():
        found.append(("mps", f"{torch.mps.recommended_max_memory() / GIB:.1f} GiB"))
    return found
