# SPDX-License-Identifier: Apache-2.0
"""Where a worker listens: a Unix socket in the user's own folder, named by all that its answers depend on."""

from __future__ import annotations

import hashlib
import json
import os
import socket
import stat
import struct
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path

from llava_cli import __version__
from llava_cli.engine.types import LoadOptions
from llava_cli.models.checkpoint import Checkpoint

SUFFIX = ".sock"
_LONGEST = 104 if sys.platform == "darwin" else 107
"""Bytes of a socket's path."""
# What changes how libraries compute, or where they find files. PATH and its like do not.
_ENVIRONMENT = ("CUDA_", "HF_", "TRANSFORMERS_", "TORCH", "PYTORCH_", "OMP_", "MKL_", "NVIDIA_", "HIP_", "ROCR_")


class NoPlace(OSError):
    """There is no folder in which a worker may listen."""


def folder(environment: Mapping[str, str] = os.environ) -> Path:
    """The user's own folder for sockets, made where it is not there yet.

    Raises:
        NoPlace: somebody else owns it, or others may enter it.
        OSError: it cannot be made.
    """
    runtime = environment.get("XDG_RUNTIME_DIR")
    path = Path(runtime, "llava") if runtime else Path(tempfile.gettempdir(), f"llava-{os.getuid()}")
    path.mkdir(mode=0o700, exist_ok=True)
    found = path.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o077:
        raise NoPlace(f"{path}: is not a folder of this user alone (mode 0700)")
    return path


def socket_path(checkpoint: Checkpoint, options: LoadOptions, environment: Mapping[str, str] = os.environ) -> Path:
    """Where the worker listens that holds this checkpoint, loaded so, by this version of the tool.

    Raises:
        NoPlace: the folder is not the user's own, or its path is too long for a socket.
        OSError: it cannot be made.
    """
    known = [
        __version__,
        __file__,
        sys.executable,
        checkpoint.name,
        os.path.realpath(checkpoint.folder),
        checkpoint.revision,
        checkpoint.dummy,
        checkpoint.config,
        list(_files(checkpoint)),
        asdict(options),
        sorted(item for item in environment.items() if item[0].startswith(_ENVIRONMENT)),
    ]
    digest = hashlib.sha256(json.dumps(known, sort_keys=True).encode("utf-8", "surrogateescape")).hexdigest()
    path = folder(environment) / f"{digest[:16]}{SUFFIX}"
    if len(os.fsencode(path)) > _LONGEST:
        raise NoPlace(f"{path}: is too long for a socket; set XDG_RUNTIME_DIR to a shorter one")
    return path


def lock_of(path: Path) -> Path:
    """What is locked while a worker is started, or the name of a dead one removed."""
    return path.with_suffix(".lock")


def _files(checkpoint: Checkpoint) -> Iterator[tuple[str, int, int]]:
    """The files that the weights and the prompts come from, so that changed ones are loaded anew."""
    if checkpoint.hub_id is not None or not checkpoint.folder.is_dir():
        return  # a commit on the hub does not change
    for entry in sorted(os.scandir(checkpoint.folder), key=lambda entry: entry.name):
        if entry.name.endswith((".safetensors", ".json", ".jinja", ".txt")):
            found = entry.stat()
            yield entry.name, found.st_size, found.st_mtime_ns


def peer(connection: socket.socket) -> tuple[int, int | None]:
    """The process id (0 where the system does not tell) and the user id of whoever is at the other end."""
    if hasattr(socket, "SO_PEERCRED"):
        process, user, _ = struct.unpack("3i", connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
        return process, user
    return 0, None


def is_ours(connection: socket.socket) -> bool:
    """Whether the same user is at the other end; where the system does not tell, the folder's mode has to do."""
    user = peer(connection)[1]
    return user is None or user == os.getuid()
