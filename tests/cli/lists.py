# SPDX-License-Identifier: Apache-2.0
"""What the tests of the two commands for lists share."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

MODEL = ("--dtype", "float32", "--max-new-tokens", "12", "-n", "4")


def records(text: str) -> list[dict]:
    return [json.loads(line) for line in text.splitlines()]


def started(*arguments: str | Path, **options) -> subprocess.Popen:
    command = [sys.executable, "-m", "llava_cli", *map(str, arguments)]
    return subprocess.Popen(command, env=os.environ | {"OMP_NUM_THREADS": "1"}, **options)
