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
from llava_cli.errors import InputError
from llava_cli.media.clip import BICUBIC, View
from llava_cli.media.limits import DEFAULT as DEFAULT_LIMITS
from llava_cli.media.limits import Limits
from llava_cli.media.named import WHOLE
from llava_cli.media.source import HUB, is_url
from llava_cli.models.checkpoint import Checkpoint
from llava_cli.request import DESCRIBE, Request

_KEYED = {"question", "system", "choice", "generation", "fit"}
"""What of a request is in a key already, or is no part of the work: fewer frames, where not all of them fit."""
_UNSAID = Request().asked()

_END = 1 << 20
_BLOCK, _BLOCKS = 1 << 14, 64


def content(path: str, limits: Limits = DEFAULT_LIMITS) -> str:
    """A digest of what a file holds: its size, its first and last MiB, and 64 blocks of 16 KiB in between.

    A URL stands for what it names: to ask its server whether that has changed would take a request for each that is
    done already, and a network. Of a file on the hub, the hub or its cache is asked where `limits` have URLs read:
    a data set's files are replaced under their names.

    Not its name or dates, which change when files are copied or moved; and not every byte, because reading terabytes
    to find that nothing is to be done would take as long as doing it. A re-encoded or cut video differs in its
    headers and index, which lie at its ends.
    """
    if path.lower().startswith(HUB) and limits.urls != "never":
        return _on_hub(path)
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


def _on_hub(name: str) -> str:
    from llava_cli.media.web import hub

    try:
        return f"hub:{hub.version(name)}"
    except InputError:
        return f"unreadable:{name.encode('utf-8', 'surrogateescape').hex()}"


Mark = tuple[int, ...]


def mark(path: str) -> Mark | None:
    """What is the same as long as nobody writes to a file or puts another in its place; None where it is none."""
    try:
        found = os.stat(path)  # noqa: PTH116 - names of any bytes
    except (OSError, ValueError):
        return None
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns


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
    """The key of a question about files with these contents, shown in this view: the same key, the same work.

    What a request says besides is in it only where it differs from what goes without saying: ledgers of versions that
    did not have it yet stay true.
    """
    question = request.question if request.raw or request.question is None else request.question.strip()
    known = [settings, _seen(view), list(contents), DESCRIBE if question is None else question, request.system]
    held = dict(zip(request.names, contents, strict=False))
    asked = request.asked(named=lambda path: {"content": held[path]})
    more = {key: value for key, value in asked.items() if key not in _KEYED and value != _UNSAID.get(key)}
    if any(medium.excerpt != WHOLE for medium in request.shown):
        more["excerpts"] = [medium.excerpt.said for medium in request.shown]
    return _digest([*known, more] if more else known)


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
