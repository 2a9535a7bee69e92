# SPDX-License-Identifier: Apache-2.0
"""`--gpus`: an engine for each of several devices of this machine."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace

from llava_cli.engine.device_map import CPU
from llava_cli.engine.pool.pool import EnginePool
from llava_cli.engine.pool.process import ProcessSeat
from llava_cli.engine.pool.runner import Runner
from llava_cli.engine.types import LoadOptions
from llava_cli.errors import UsageError
from llava_cli.machine import cores
from llava_cli.media.limits import Limits
from llava_cli.media.worker.pool import Decoding
from llava_cli.models.checkpoint import Checkpoint
from llava_cli.progress import Progress

ALL = "all"


@dataclass(frozen=True)
class Gpus:
    """Devices of this machine, each with an engine of its own."""

    names: tuple[str, ...]
    """By number, `cpu`, or `all`; one that is named twice has two engines, which share it."""

    def decoders(self, here: Callable[[], Decoding], limits: Limits) -> Decoding:
        """Decoding is done here, for all of them."""
        return here()

    def engines(self, checkpoint: Checkpoint, options: LoadOptions, progress: Progress) -> EnginePool:
        """The engines, about to start.

        Raises:
            UsageError: the machine has no such device.
        """
        devices = self._devices()
        checkpoint = replace(checkpoint, folder=checkpoint.folder.absolute())
        threads = {"OMP_NUM_THREADS": str(max(1, cores() // len(devices)))}
        shares = Counter(devices)
        seats = [
            ProcessSeat(
                device if shares[device] == 1 else f"{device}, engine {number}",
                Runner(checkpoint, replace(options, device=device), 1 / shares[device]),
                threads if device == CPU else None,
            )
            for number, device in enumerate(devices, 1)
        ]
        return EnginePool(seats, checkpoint.fetch, progress)

    def _devices(self) -> list[str]:
        from llava_cli.engine.device import gpus

        found = gpus()
        if self.names == (ALL,):
            if not found:
                raise UsageError("--gpus all: this machine has no GPU; --gpus cpu,cpu runs two engines on its CPU")
            return found
        devices = [CPU if name == CPU else f"cuda:{name}" for name in self.names]
        missing = [device for device in devices if device not in (CPU, *found)]
        if missing:
            there = ", ".join([CPU, *found])
            raise UsageError(f"--gpus: {missing[0]} is not available on this machine, which has {there}")
        return devices


def parse_gpus(text: str) -> Gpus:
    """Read `all`, `0,1,3` or `cpu,cpu`.

    Raises:
        UsageError: it is anything else.
    """
    names = tuple(name.strip().removeprefix("cuda:") for name in text.split(","))
    if names != (ALL,) and not all(re.fullmatch(rf"\d{{1,3}}|{CPU}", name, re.ASCII) for name in names):
        raise UsageError(f"--gpus {text}: write all, the numbers of GPUs such as 0,1,3, or cpu,cpu")
    return Gpus(tuple(name if name in (ALL, CPU) else str(int(name)) for name in names))
