# SPDX-License-Identifier: Apache-2.0
"""What is the same: a key is of work, known by contents and settings; an identity is of the record of it for someone.

Ledgers hold both: what is changed here makes everything that was ever done new work.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from llava_cli.batch.jobs import Unusable
from llava_cli.engine.types import Generation, LoadOptions
from llava_cli.media.clip import BICUBIC, View
from llava_cli.media.source import is_url
from llava_cli.models.checkpoint import Checkpoint
from llava_cli.request import DESCRIBE, Request

_END = 1 << 20
_BLOCK, _BLOCKS = 1 << 14, 64


def content(path: str) -> str:
    """A digest of what a file holds: its size, its first and last MiB, and 64 blocks of 16 KiB in between.

    A URL stands for what it names: to ask its server whether that has changed would take a request for each that is
    done already, and a network.

    Not its name or dates, which change when files are copied or moved; and not every byte, because reading terabytes
    to find that nothing is to be done would take as long as doing it. A re-encoded or cut video differs in its
    headers and index, which lie at its ends.
    """
    if is_url(path):
        return f"url:{path.encode('utf-8', 'surrogateescape').hex()}"
    digest = hashlib.sha256()
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):  # noqa: PTH116 - a pipe would wait, a folder cannot be read
            return f"no file:{os.fsencode(path).hex()}"
        with open(path, "rb") as file:  # noqa: PTH123 - names of any bytes
            size = os.fstat(file.fileno()).st_size
            digest.update(b"%d:" % size)
            for offset, length in _samples(size):
                file.seek(offset)
                digest.update(file.read(length))
    except (OSError, ValueError):  # ValueError: a NUL in the name
        # Once it can be read it is new work.
        return f"unreadable:{path.encode('utf-8', 'surrogateescape').hex()}"
    return digest.hexdigest()


def _samples(size: int) -> list[tuple[int, int]]:
    """Which parts of a file are read: (offset, length)."""
    if size <= 2 * _END + _BLOCK * _BLOCKS:
        return [(0, size)]
    step = (size - 2 * _END) // _BLOCKS
    middle = [(_END + i * step, _BLOCK) for i in range(_BLOCKS)]
    return [(0, _END), *middle, (size - _END, _END)]


def checkpoint_identity(checkpoint: Checkpoint, options: LoadOptions, rope_factor: float | None) -> dict[str, Any]:
    """What of a checkpoint, and of how it is loaded, can change an answer.

    The number format is taken as it was asked for: machines that share a list may choose differently by themselves.
    """
    if checkpoint.hub_id is not None:
        files: object = [checkpoint.hub_id, checkpoint.revision]
    else:
        small = [path for pattern in ("*.json", "*.jinja", "*.safetensors") for path in checkpoint.folder.glob(pattern)]
        files = sorted((path.name, content(str(path))) for path in small)
    return {
        "files": files,
        "dtype": options.dtype,
        "quantization": options.quantization,
        "quantize_all": options.quantize_all,
        "rope_factor": rope_factor,
    }


def settings_of(checkpoint: Mapping[str, Any], generation: Generation) -> dict[str, Any]:
    """What all work of a run shares. `generation` is as the user asked for it: a seed that was drawn is none."""
    return {"checkpoint": checkpoint, "generation": asdict(generation)}


def work_key(settings: Mapping[str, Any], view: View, request: Request, contents: Sequence[str]) -> str:
    """The key of a question about files with these contents, shown in this view: the same key, the same work."""
    question = request.question.strip() if request.question is not None else DESCRIBE
    return _digest([settings, _seen(view), list(contents), question, request.system])


def _seen(view: View) -> dict[str, Any]:
    """A view as ledgers have always known it: one of exact pixels once kept all of them, to be scaled later."""
    known = asdict(view)
    if known.pop("pixels") == "exact":
        known["fit"] = "full"
    if known["resample"] == BICUBIC:
        del known["resample"]
    return known


def line_key(line: Unusable) -> str:
    """The key of a line that is no job."""
    return _digest(["line", line.line, line.text])


def default_id(key: str, media: Sequence[str]) -> str:
    """The id of a job that has none."""
    return _digest([key, [_hex(path) for path in media]])[:16]


def identity(key: str, id: str | int, media: Sequence[str]) -> bytes:
    """What a ledger knows a record by: the work, and for which job it was done."""
    return bytes.fromhex(_digest([key, id, [_hex(path) for path in media]])[:32])


def _hex(path: str) -> str:
    return path.encode("utf-8", "surrogateescape").hex()


def _digest(content: object) -> str:
    text = json.dumps(content, sort_keys=True, default=str)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
