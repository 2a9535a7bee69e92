# SPDX-License-Identifier: Apache-2.0
"""The files in a checkpoint's folder. Only plain ones are read, of a sane size: whoever made it may mean harm."""

from __future__ import annotations

import json
import os
import re
import stat
from pathlib import Path
from typing import Any, NoReturn

from llava_cli.errors import ModelError, first_line

SMALL = 8 << 20
"""Bytes of a file of settings. The largest known are lists of a few thousand weights."""
LARGE = 256 << 20
"""Bytes of a tokenizer's file. The largest known have 33 MB."""

_WEIGHTS = "model.safetensors"
_INDEX = "model.safetensors.index.json"
# A name alone: no folder, no device, and nothing that is unpickled.
_SHARD = re.compile(r"\w[\w.-]{0,250}\.safetensors", re.ASCII)


def find(folder: Path, name: str, most: int | None = None) -> Path | None:
    """Where a file of the folder is; None where there is none.

    Raises:
        ModelError: it is no plain file, has more than `most` bytes, or is a link that leads out of the folder and of
            the hub's cache around it.
    """
    path = folder / name
    try:
        target = path.resolve(strict=True)
        status = target.stat()
    except FileNotFoundError:
        return None
    except (OSError, RuntimeError) as error:  # RuntimeError: links in a circle
        raise ModelError(f"{path}: cannot be read: {_reason(error)}") from error
    if not any(target.is_relative_to(home) for home in _homes(folder.resolve())):
        raise ModelError(f"{path}: is a link that leads out of the checkpoint's folder; put the file itself there")
    if not stat.S_ISREG(status.st_mode):
        raise ModelError(f"{path}: is no plain file")
    if most is not None and status.st_size > most:
        raise _too_large(path, most)
    return target


def _too_large(path: Path, most: int) -> ModelError:
    return ModelError(f"{path}: has more than {most >> 20} MiB, too much for such a file")


def _homes(folder: Path) -> list[Path]:
    """Where the folder's files may be: the hub's cache holds them in a folder beside the one for commits."""
    snapshots = folder.parent
    return [folder, (snapshots.parent / "blobs").resolve()] if snapshots.name == "snapshots" else [folder]


def read(folder: Path, name: str, most: int = SMALL) -> bytes | None:
    """What a file of the folder holds; None where there is none.

    Raises:
        ModelError: it cannot be read, is no plain file, or has more than `most` bytes.
    """
    path = find(folder, name, most)
    if path is None:
        return None
    try:
        # Without waiting, should somebody put a pipe there meanwhile.
        with os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
            content = file.read(most + 1)
    except OSError as error:
        raise ModelError(f"{folder / name}: cannot be read: {_reason(error)}") from error
    if len(content) > most:
        raise _too_large(folder / name, most)
    return content


def read_text(folder: Path, name: str) -> str | None:
    """A text; None where there is no such file.

    Raises:
        ModelError: the file cannot be read, or is no text.
    """
    content = read(folder, name)
    try:
        return None if content is None else content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ModelError(f"{folder / name}: is no UTF-8 text: {error}") from error


def read_json(folder: Path, name: str) -> dict[str, Any]:
    """A JSON object; {} where there is no such file.

    Raises:
        ModelError: the file cannot be read, or holds something else.
    """
    content = read(folder, name)
    if content is None:
        return {}
    try:
        known = json.loads(content, parse_constant=_refuse)
    except (ValueError, RecursionError) as error:
        raise ModelError(f"{folder / name}: cannot be read as JSON: {first_line(error)}") from error
    if not isinstance(known, dict):
        raise ModelError(f"{folder / name}: is not a JSON object")
    return known


def weights(folder: Path) -> list[Path]:
    """The files of the weights: the one, or those that the index names.

    Raises:
        ModelError: there are none, one is missing, or one is not a safetensors file of this folder.
    """
    whole = find(folder, _WEIGHTS)
    if whole is not None:
        return [whole]
    names = _shards(folder)
    if not names:
        remedy = "; pickled weights (*.bin) are never loaded: convert them" if any(folder.glob("*.bin")) else ""
        raise ModelError(f"{folder}: has no safetensors weights{remedy}")
    found = {name: find(folder, name) for name in names}
    missing = [name for name, path in found.items() if path is None]
    if missing:
        raise ModelError(f"{folder}: {len(missing)} of {len(found)} files of weights are missing, e.g. {missing[0]}")
    return [path for path in found.values() if path is not None]


def _shards(folder: Path) -> list[str]:
    places = read_json(folder, _INDEX).get("weight_map", {})
    if not isinstance(places, dict):
        raise ModelError(f"{folder / _INDEX}: its weight_map is not an object")
    for name in places.values():
        if not isinstance(name, str) or not _SHARD.fullmatch(name):
            raise ModelError(
                f"{folder / _INDEX}: names {str(name)[:80]!r}; only *.safetensors files of the same folder are read"
            )
    return sorted(set(places.values()))


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no JSON")


def _reason(error: Exception) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or first_line(error)
