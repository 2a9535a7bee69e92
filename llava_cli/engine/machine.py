# SPDX-License-Identifier: Apache-2.0
"""What there is to run a checkpoint on, for people to read. Importing this imports torch, which may fail."""

from __future__ import annotations

import torch

from llava_cli.engine.memory import GIB

CUDA_BUILD: str | None = torch.version.cuda
"""The CUDA that torch is built for."""


def accelerators() -> list[tuple[str, str]]:
    """The name of each GPU, as --device takes it, and what it is."""
    found = []
    for number in range(torch.cuda.device_count()):
        free, total = torch.cuda.mem_get_info(number)
        name = torch.cuda.get_device_name(number)
        found.append((f"cuda:{number}", f"{name}, {free / GIB:.1f} of {total / GIB:.1f} GiB free"))
    if torch.backends.mps.is_available():
        found.append(("mps", f"{torch.mps.recommended_max_memory() / GIB:.1f} GiB"))
    return found
