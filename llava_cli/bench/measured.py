# SPDX-License-Identifier: Apache-2.0
"""Readers over one file, each in a process of its own, in turns: what else the machine does slows all of them."""

from __future__ import annotations

import json
import os
import selectors
import statistics
import subprocess
import sys
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO, TYPE_CHECKING, Any, cast

from llava_cli.bench.peers import Reader

if TYPE_CHECKING:
    import numpy as np

# The parent's own search path, and not the current folder, which -m or -c would put before it.
PROGRAM = "import sys; sys.path[:] = sys.argv[1:]; from llava_cli.bench.child import main; main()"

PATIENCE_S = 120.0
"""How long one reading may take; its imports count."""


@dataclass(frozen=True)
class Measured:
    """What one reader did with one file: figures and frames, or an error."""

    reader: Reader
    error: str | None = None
    wall_s: float | None = None
    """Medians."""
    cpu_s: float | None = None
    """Processor time, of the programs that it started too."""
    memory: int | None = None
    """Peak bytes above what it held before it began."""
    total: int | None = None
    """How many frames it takes the video to have."""
    indices: Sequence[int] = ()
    """What it takes the indices of its frames to be."""
    frames: np.ndarray | None = None
    """uint8 [frames, side, side, 3], as a vision tower is shown them."""


def measure(
    readers: Sequence[Reader], path: Path, frames: int, runs: int, told: Callable[[str], None] = lambda name: None
) -> list[Measured]:
    """Read so many frames with each reader, and as often as is said, in turns."""
    with TemporaryDirectory(prefix="llava-bench-") as folder, ExitStack() as stack:
        saved = [Path(folder, f"{place}.npy") for place in range(len(readers))]
        processes = [
            stack.enter_context(_Process(reader, path, frames, save))
            for reader, save in zip(readers, saved, strict=True)
        ]
        first = [process.outcome() for process in processes]
        timed: list[list[dict[str, Any]]] = [[] for _ in readers]
        for _ in range(runs):
            for place, reader in enumerate(readers):
                if all("error" not in outcome for outcome in (first[place], *timed[place])):
                    told(reader.name)
                    timed[place].append(processes[place].again())
        return list(map(_measured, readers, first, timed, saved))


def _measured(reader: Reader, first: dict[str, Any], timed: list[dict[str, Any]], save: Path) -> Measured:
    import numpy as np

    error = next((one["error"] for one in (first, *timed) if "error" in one), None)
    if error is not None:
        return Measured(reader, error)
    wall, cpu = (statistics.median(one[key] for one in timed) for key in ("wall_s", "cpu_s"))
    known = {key: first[key] for key in ("memory", "total", "indices")}
    return Measured(reader, wall_s=wall, cpu_s=cpu, frames=np.load(save), **known)


class _Process:
    """One reader at work on one file. It begins at once; what is not timed may overlap with other readers."""

    def __init__(self, reader: Reader, path: Path, frames: int, save: Path) -> None:
        self._process = subprocess.Popen(  # noqa: S603 - this program, our own
            [sys.executable, "-c", PROGRAM, *sys.path],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        request = {"reader": reader.name, "file": {"path": str(path), "frames": frames}, "save": str(save)}
        self._tell(json.dumps(request))

    def __enter__(self) -> _Process:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        with suppress(BrokenPipeError):
            self._process.communicate()

    def again(self) -> dict[str, Any]:
        """Read once more, timed."""
        self._tell("")
        return self.outcome()

    def outcome(self) -> dict[str, Any]:
        """What came of the reading that it was told of."""
        try:
            outcome: dict[str, Any] = json.loads(self._line())
        except TimeoutError:
            return {"error": f"takes longer than {PATIENCE_S:g} s"}
        except ValueError:
            return {"error": "crashed"}
        return outcome

    def _tell(self, line: str) -> None:
        requests = cast(IO[bytes], self._process.stdin)
        with suppress(BrokenPipeError):  # it has ended, which its outcome tells
            requests.write(line.encode() + b"\n")
            requests.flush()

    def _line(self) -> bytes:
        """One line of what the process says.

        Raises:
            TimeoutError: it says none in time.
        """
        pipe = cast(IO[bytes], self._process.stdout)
        said = b""
        with selectors.DefaultSelector() as selector:
            selector.register(pipe, selectors.EVENT_READ)
            while not said.endswith(b"\n"):
                if not selector.select(PATIENCE_S):
                    raise TimeoutError
                part = os.read(pipe.fileno(), 1 << 16)
                if not part:
                    break
                said += part
        return said
