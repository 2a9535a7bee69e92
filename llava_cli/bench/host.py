# SPDX-License-Identifier: Apache-2.0
"""The machine that something was measured on: without it no figure means anything."""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from llava_cli import __version__
from llava_cli.engine.memory import GIB
from llava_cli.machine import cores, memory_limit
from llava_cli.record import package_version

_ASK_GPU = ("--query-gpu=name,memory.total,driver_version", "--format=csv,noheader")


@dataclass(frozen=True)
class Host:
    """A machine, and the libraries on it that take part."""

    cpu: str
    cores: int
    memory_gib: float
    gpus: tuple[str, ...]
    """Each one's name, memory and driver, as the driver says them."""
    versions: dict[str, str]
    load: float
    """Processes that wanted a core in the minute before."""

    def __str__(self) -> str:
        parts = [f"{self.cpu}, {self.cores} {'core' if self.cores == 1 else 'cores'}, {self.memory_gib:g} GiB"]
        parts += self.gpus or ["no GPU"]
        parts.append(f"load before {self.load:.1f}")
        parts.append(", ".join(f"{name} {version}" for name, version in self.versions.items()))
        return "; ".join(parts)


def describe(libraries: Sequence[str]) -> Host:
    """This machine, with the versions of those libraries that are installed."""
    versions = {"llava": __version__, "Python": platform.python_version()}
    versions |= {name: found for name in libraries if (found := package_version(name)) is not None}
    if (ffmpeg := _ffmpeg()) and "av" in libraries:
        versions["ffmpeg"] = ffmpeg
    return Host(_cpu(), cores(), round(memory_limit() / GIB, 1), _gpus(), versions, round(os.getloadavg()[0], 1))


def _cpu(file: Path = Path("/proc/cpuinfo")) -> str:
    try:
        found = re.search(r"^model name\s*: (.+)$", file.read_text(), re.M)
    except OSError:
        found = None
    return found[1].strip() if found else platform.processor() or platform.machine()


def _gpus() -> tuple[str, ...]:
    """Asked of the driver's own program: torch would take seconds to import."""
    lines = _said("nvidia-smi", *_ASK_GPU).splitlines()
    fields = [[part.strip() for part in line.split(",")] for line in lines]
    return tuple(f"{name}, {memory}, driver {driver}" for name, memory, driver in fields)


def _ffmpeg() -> str | None:
    found = re.match(r"ffmpeg version (\S+)", _said("ffmpeg", "-version"))
    return found[1] if found else None


def _said(program: str, *arguments: str) -> str:
    """What a program prints; nothing where it is not there, or fails."""
    path = shutil.which(program)
    if path is None:
        return ""
    try:
        done = subprocess.run([path, *arguments], capture_output=True, text=True, timeout=30)  # noqa: S603
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout if done.returncode == 0 else ""
