# SPDX-License-Identifier: Apache-2.0
"""Decoding processes that go wrong when they are given a file that is called bad."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from llava_cli.media.worker import process

Rendered = Callable[[str], Path]


def spoilt(monkeypatch: pytest.MonkeyPatch, statement: str) -> None:
    """Have decoding processes run a statement instead of decoding files that are called bad. They may do anything."""
    patch = (
        "import llava_cli.media.worker.child as c, os, signal, time; load = c.load_media\n"
        "c.confine = c.Confinement; c.keep_to_itself = lambda: os.dup2(2, 1)\n"
        f"def spoil(media, *rest, **more):\n if 'bad' in getattr(media, 'name', ''): {statement}\n"
        " return load(media, *rest, **more)\n"
        "c.load_media = spoil; "
    )
    before, after = process.PROGRAM.split("from llava_cli.media.worker.child")
    monkeypatch.setattr(process, "PROGRAM", f"{before}\n{patch}\nfrom llava_cli.media.worker.child{after}")


def taken_over(monkeypatch: pytest.MonkeyPatch, expression: str) -> None:
    """Have decoding processes, confined as ever, first do what an expression says with each file."""
    patch = (
        "import concurrent.futures, ctypes, os, resource, signal, socket, subprocess\n"
        "import concurrent.futures.thread, llava_cli.media.worker.child as c\n"
        "libc, load, confine, opened = ctypes.CDLL(None, use_errno=True), c.load_media, c.confine, []\n"
        "def refused(call):\n if call() < 0: raise OSError(ctypes.get_errno(), 'refused')\n"
        "def tell(text): raise LookupError(text)\n"
        "def confine_and_look():\n"
        " for name in os.listdir('/proc/self/fd'):\n"
        "  if os.path.exists('/proc/self/fd/' + name): opened.append(os.readlink('/proc/self/fd/' + name))\n"
        " return confine()\n"
        f"def take_over(media, *rest, **more):\n {expression}\n return load(media, *rest, **more)\n"
        "c.load_media, c.confine = take_over, confine_and_look\n"
    )
    before, after = process.PROGRAM.split("from llava_cli.media.worker.child")
    monkeypatch.setattr(process, "PROGRAM", f"{before}\n{patch}\nfrom llava_cli.media.worker.child{after}")


def bad(rendered: Rendered, tmp_path: Path) -> Path:
    path = tmp_path / "bad.mp4"
    path.write_bytes(rendered("h264").read_bytes())
    return path
