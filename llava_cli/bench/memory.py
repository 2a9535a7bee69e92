# SPDX-License-Identifier: Apache-2.0
"""How much memory a process holds, and has held at most."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path


def memory_of(process: int | str, key: str) -> int | None:
    """Bytes that a process holds (VmRSS) or has held at most (VmHWM); None where the system does not tell."""
    with suppress(OSError, ValueError):
        for line in Path(f"/proc/{process}/status").read_text().splitlines():
            if line.startswith(f"{key}:"):
                return int(line.split()[1]) * 1024
    return None


def begin_peak() -> None:
    """Forget what this process has held at most so far, where the system can."""
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")
