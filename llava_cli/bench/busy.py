# SPDX-License-Identifier: Apache-2.0
"""How much of the time a GPU had something to do, as its driver's own program sees it."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

EVERY_MS = 100


@contextmanager
def gpu_busy(device: str) -> Iterator[list[float]]:
    """Watch a device; there are samples, from 0 to 1, once the context has ended. None of what is no NVIDIA GPU."""
    samples: list[float] = []
    program = shutil.which("nvidia-smi")
    if program is None or not device.startswith("cuda"):
        yield samples
        return
    asked = [f"--id={_uuid(device)}", "--query-gpu=utilization.gpu", "--format=csv,noheader,nounits"]
    command = [program, *asked, f"--loop-ms={EVERY_MS}"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:  # noqa: S603
        try:
            yield samples
        finally:
            process.terminate()
            said = process.communicate()[0]
    samples += [int(line) / 100 for line in said.splitlines() if line.strip().isdigit()]


def _uuid(device: str) -> str:
    """What the driver calls it, whatever CUDA_VISIBLE_DEVICES numbers it as."""
    import torch

    return f"GPU-{torch.cuda.get_device_properties(device).uuid}"
