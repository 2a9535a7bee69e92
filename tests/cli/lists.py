# SPDX-License-Identifier: Apache-2.0
"""What the tests of the two commands for lists share."""

from __future__ import annotations

import json

MODEL = ("--dtype", "float32", "--max-new-tokens", "12", "-n", "4")


def records(text: str) -> list[dict]:
    return [json.loads(line) for line in text.splitlines()]
