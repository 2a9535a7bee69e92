# SPDX-License-Identifier: Apache-2.0
"""Makes the README's pictures from a real run: `python -m man.pictures.make`.

A clip is drawn, `llava` is run at a terminal of 80 columns, and what stood there is saved as SVG.
"""

from __future__ import annotations

import io
import os
import pty
import re
import subprocess
import sys
import tempfile
import termios
from pathlib import Path

from rich.console import Console
from rich.text import Text

from llava_cli.demo.show import CLIP, write_clip, write_still

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
SHEET = HERE / "frames.png"
TERMINAL = HERE / "terminal.svg"
COLUMNS = 80

COMMANDS = [
    f"llava frames clip.mp4 --model demo --frames 4 --sheet {SHEET.name}",
    'llava ask clip.mp4 "Which way does the circle move?" --model demo --time',
    'llava ask clip.mp4 "What colour is it?" --model demo --json | jq -c .usage',
]
"""What the picture shows, on the clip of `llava demo`."""


def main() -> None:
    """Draw, run, and save both pictures."""
    console = Console(record=True, width=COLUMNS, file=io.StringIO(), force_terminal=True)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_clip(folder / "clip.mp4")
        write_still(folder / "still.png")
        program = folder / "bin" / "llava"
        program.parent.mkdir()
        program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m llava_cli "$@"\n')
        program.chmod(0o755)
        for command in COMMANDS:
            console.print(Text(f"$ {command}", style="bold"))
            console.print(Text.from_ansi(at_a_terminal(command, folder)))
        SHEET.write_bytes((folder / SHEET.name).read_bytes())
    svg = console.export_svg(title=f"llava, about a {CLIP.shapes[0].colour} {CLIP.shapes[0].kind}")
    # Fonts from the network are left out: a picture must not ask anybody.
    TERMINAL.write_text(re.sub(r"@font-face \{.*?\}\n", "", svg, flags=re.S), "utf-8")


def at_a_terminal(command: str, folder: Path) -> str:
    """What a command shows at a terminal."""
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (40, COLUMNS))
    environment = os.environ | {
        "PATH": f"{folder / 'bin'}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "TERM": "dumb",
    }
    process = subprocess.Popen(
        ["bash", "-c", command], stdin=theirs, stdout=theirs, stderr=theirs, cwd=folder, env=environment
    )
    os.close(theirs)
    shown = b""
    try:
        while piece := os.read(ours, 65536):
            shown += piece
    except OSError:  # the terminal is gone: all has been said
        pass
    os.close(ours)
    if process.wait() != 0:
        raise RuntimeError(f"{command}: {shown.decode()}")
    return shown.decode().replace("\r\n", "\n").rstrip("\n")


if __name__ == "__main__":
    main()
