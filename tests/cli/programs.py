# SPDX-License-Identifier: Apache-2.0
"""The command line as a program of its own that the test goes on beside."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path


def started(*arguments: str | Path, **options) -> subprocess.Popen:
    """`llava`, begun."""
    command = [sys.executable, "-m", "llava_cli", *map(str, arguments)]
    return subprocess.Popen(command, env=os.environ | {"OMP_NUM_THREADS": "1"}, **options)


def wait_for_reader(fifo: Path) -> int:
    """Open a FIFO for writing once somebody reads from it."""
    for _ in range(600):
        try:
            return os.open(fifo, os.O_WRONLY | os.O_NONBLOCK)
        except OSError:
            time.sleep(0.05)
    raise TimeoutError(f"nobody opened {fifo}")
