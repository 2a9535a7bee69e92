# SPDX-License-Identifier: Apache-2.0
"""Whatever is done to a file, what comes of it is frames with a receipt, or one clear error, in bounded time.

The frames are the right ones: those of a decode from the start, by the rules at the head of linear.py.

LLAVA_FUZZ=5000 tries that many inputs, LLAVA_FUZZ_FIRST=10000 starts with that one; an input's number says all of it.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

from media import fuzzing
from media.rendering import SPECS, marked
from PIL import Image

INPUTS = int(os.environ.get("LLAVA_FUZZ", "300"))
FIRST = int(os.environ.get("LLAVA_FUZZ_FIRST", "0"))
CHUNK = 100
PATIENCE = 300
"""Seconds for a chunk. An input takes some milliseconds; this is for machines that are busy with other things."""

ONCE_WRONG = [
    117, 144, 345, 2102, 2115, 2248, 2899, 2922, 3742, 5120, 5565, 6397, 7127, 7546, 8635, 8797, 19022, 102022, 104684
]  # fmt: skip
"""Inputs of which other frames came than a decode from the start gives, or none."""

PICTURES = {"still.png": {}, "still.jpg": {}, "still.webp": {}, "still.tiff": {}, "still.bmp": {}}


def seeds(folder: Path, rendered: Callable[[str], Path]) -> None:
    for name in SPECS:
        (folder / rendered(name).name).write_bytes(rendered(name).read_bytes())
    images = [Image.fromarray(marked(index, 64, 48)) for index in range(6)]
    for name in PICTURES:
        images[3].save(folder / name)
    for name in ("moving.gif", "moving.png", "moving.webp"):
        images[0].save(folder / name, save_all=True, append_images=images[1:], duration=40)


def tried(folder: Path, numbers: Sequence[int]) -> tuple[Counter[str], list[tuple[object, str]]]:
    """Return how often what came of these inputs, and each that was wrong."""
    found: Counter[str] = Counter()
    wrong: list[tuple[object, str]] = []
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    for start in range(0, len(numbers), CHUNK):
        chunk = numbers[start : start + CHUNK]
        command = [sys.executable, fuzzing.__file__, str(folder), *map(str, chunk)]
        try:
            done = subprocess.run(command, capture_output=True, timeout=PATIENCE, check=False, env=environment)
            ended, said = f"exit code {done.returncode}: {done.stderr[-500:]!r}", done.stdout
        except subprocess.TimeoutExpired as hang:
            ended, said = "a hang", hang.stdout or b""
        lines = [json.loads(line) for line in said.splitlines()]
        found.update(lines[1::2])
        outcomes = zip(lines[::2], lines[1::2], strict=False)
        wrong += [(case, what) for case, what in outcomes if what not in fuzzing.RIGHT]
        if len(lines) != 2 * len(chunk):
            wrong.append((lines[-1] if lines else chunk[0], ended))
    return found, wrong


def test_mutated_media(rendered: Callable[[str], Path], tmp_path: Path) -> None:
    seeds(tmp_path, rendered)
    found, wrong = tried(tmp_path, range(FIRST, FIRST + INPUTS))
    print(f"{INPUTS} inputs: {dict(found)}")
    # What a decoder makes up for a reference that damage has taken away depends on what else it has decoded.
    made_up = [case for case in wrong if str(case[1]).startswith("damaged:")]
    assert wrong == made_up
    assert len(made_up) <= max(1, INPUTS / 1000)
    assert found["media"] > INPUTS / 20
    assert found["error"] > INPUTS / 20


def test_inputs_that_once_came_out_wrong(rendered: Callable[[str], Path], tmp_path: Path) -> None:
    """With other encoders they are other inputs, and as good as any."""
    seeds(tmp_path, rendered)
    assert not tried(tmp_path, ONCE_WRONG)[1]
