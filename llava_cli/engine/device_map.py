# SPDX-License-Identifier: Apache-2.0
"""`--device-map`: which devices hold a model's layers, and how much of each may be used."""

from __future__ import annotations

import re
from dataclasses import dataclass

from llava_cli.errors import UsageError
from llava_cli.media.limits import parse_size

AUTO = "auto"
"""All GPUs; where there is none, what the machine has instead."""
CPU, DISK = "cpu", "disk"

_GPU = re.compile(r"(?:cuda:)?(\d{1,3})", re.ASCII)


@dataclass(frozen=True)
class DeviceMap:
    """Devices in the order in which layers are put on them: GPUs by number, then `cpu`, then `disk`."""

    text: str
    """As the user wrote it."""
    limits: tuple[tuple[str, int | None], ...]
    """Each device (`auto`, `cuda:0` …, `cpu`, `disk`) with the bytes of it that may be used; None is all."""


def parse_device_map(text: str) -> DeviceMap:
    """Read `auto`, `0,1`, `auto,cpu` or `0=20G,cpu=60G,disk`.

    Raises:
        UsageError: it is anything else.
    """
    try:
        limits = dict(map(_limit, text.split(",")))
    except (UsageError, ValueError) as error:
        shown = repr(text if len(text) <= 40 else f"{text[:40]}…")
        raise UsageError(f"{shown} is no device map; write auto, 0,1, auto,cpu or 0=20G,cpu=60G,disk") from error
    if limits.keys() == {DISK}:
        raise UsageError("disk alone computes nothing; write cpu,disk or auto,disk")
    return DeviceMap(text, tuple(sorted(limits.items(), key=lambda item: _order(item[0]))))


def _limit(entry: str) -> tuple[str, int | None]:
    name, has_limit, size = entry.strip().partition("=")
    gpu = _GPU.fullmatch(name)
    device = f"cuda:{int(gpu[1])}" if gpu else name
    if not gpu and device not in (AUTO, CPU) and entry.strip() != DISK:
        raise UsageError(f"{name!r} is no device")
    return device, parse_size(size) if has_limit else None


def _order(device: str) -> tuple[int, int]:
    number = device.partition(":")[2]
    return [AUTO, "cuda", CPU, DISK].index(device.partition(":")[0]), int(number or 0)
