# SPDX-License-Identifier: Apache-2.0
"""A process of this program's own that is handed a socket, and that no signal to the terminal's group reaches."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from socket import socket

# This process's own search path, and not the current folder, which -m or -c would put before it.
_PROGRAM = "import sys; sys.path[:] = sys.argv[2:]; from {module} import main; main()"


def spawn(
    module: str, given: socket, environment: Mapping[str, str] | None = None, folder: Path | None = None
) -> subprocess.Popen[bytes]:
    """Start a module's `main`, which finds the descriptor of its socket in `sys.argv[1]`.

    Args:
        environment: variables beside this process's own, which come first.
        folder: its current folder, where that is not to be this process's.

    Raises:
        OSError: no process can be had.
    """
    return subprocess.Popen(  # noqa: S603 - this program, our own
        [sys.executable, "-c", _PROGRAM.format(module=module), str(given.fileno()), *sys.path],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        pass_fds=[given.fileno()],
        start_new_session=True,
        cwd=folder,
        env={**(environment or {}), **os.environ},
    )
