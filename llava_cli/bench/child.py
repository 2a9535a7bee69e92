# SPDX-License-Identifier: Apache-2.0
"""A process that runs one reader over one file and measures it: processor time and memory are the reader's own.

A request on standard input is a line of JSON, and so is each outcome on what was standard output. The first reading
pays for all that is only done once, and is not timed; its memory counts, and its frames are saved.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Any

from llava_cli.atomic import write_all
from llava_cli.bench import peers
from llava_cli.bench.memory import begin_peak, memory_of
from llava_cli.errors import first_line


def main() -> None:
    """Serve the requests about one reader and one file: the first, and then timed ones, until standard input ends."""
    outcomes = os.dup(1)
    os.dup2(2, 1)  # whatever libraries print must not get between the outcomes
    request = json.loads(sys.stdin.readline())
    reader = next(reader for reader in peers.READERS if reader.name == request["reader"])
    _answer(outcomes, _first(reader, **request["file"], save=Path(request["save"])))
    for _ in sys.stdin:
        _answer(outcomes, _timed(reader, **request["file"]))


def _answer(outcomes: int, outcome: Mapping[str, Any]) -> None:
    write_all(outcomes, json.dumps(outcome).encode() + b"\n")


def _first(reader: peers.Reader, path: str, frames: int, save: Path) -> dict[str, Any]:
    import numpy as np
    from PIL import Image  # noqa: F401 - as the next line: what is imported is not what a reading takes

    with suppress(Exception):  # told below, where the reader itself does it
        for module in reader.modules:
            import_module(module)
    begin_peak()
    before = memory_of("self", "VmRSS")
    try:
        reading = reader.read(path, frames)
        shown = [(index, peers.as_shown(pixels)) for index, pixels in reading.frames]
    except Exception as error:  # libraries of many kinds
        return {"error": f"{type(error).__name__}: {first_line(error)}"}
    peak = memory_of("self", "VmHWM")
    memory = None if peak is None or before is None else max(0, peak - before) + max(reading.helper_memory, default=0)
    if not shown:
        return {"error": "gives no frames"}
    np.save(save, np.stack([pixels for _, pixels in shown]))
    return {"indices": [index for index, _ in shown], "total": reading.total, "memory": memory}


def _timed(reader: peers.Reader, path: str, frames: int) -> dict[str, Any]:
    wall, before = time.perf_counter(), _cpu()
    for _, pixels in reader.read(path, frames).frames:
        peers.as_shown(pixels)
    return {"wall_s": time.perf_counter() - wall, "cpu_s": _cpu() - before}


def _cpu() -> float:
    """Seconds of processor time, user and system, of this process and of those that it started and that have ended."""
    return sum(sum(resource.getrusage(who)[:2]) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
