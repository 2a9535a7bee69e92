# SPDX-License-Identifier: Apache-2.0
"""Claims: which process is at work on what, so that no other begins it.

Each process writes what it has in hand into a file of its own, and holds a lock on that file as long as it lives. The
system drops the lock when the process ends, however it ends: claims whose lock is free are of the dead and count no
more. There are no heartbeats and no clocks to agree on; a shared disk must carry locks between its machines (NFS and
SMB do), and where it does not, `--shard` divides the work instead.
"""

from __future__ import annotations

import os
import secrets
import socket
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from filelock import FileLock, Timeout

_WIDTH = 32
_LOCK = ".lock"


class Claims:
    """The claims beside a ledger. Every call is made under the ledger's lock."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(exist_ok=True)
        self._folder = folder
        self._file = folder / f"{socket.gethostname()[:64]}-{os.getpid()}-{secrets.token_hex(4)}"
        self._lock_file = self._file.with_name(self._file.name + _LOCK)
        self._lock = FileLock(self._lock_file, thread_local=False)
        self._lock.acquire()
        self._own: set[bytes] = set()

    def of_others(self) -> set[bytes]:
        """What other living processes have in hand. The files of dead ones are removed."""
        found: set[bytes] = set()
        for lock_file in self._folder.glob(f"*{_LOCK}"):
            if lock_file == self._lock_file:
                continue
            file = lock_file.with_name(lock_file.name.removesuffix(_LOCK))
            if _held(lock_file):
                with suppress(FileNotFoundError):
                    text = file.read_bytes()
                    found |= {bytes.fromhex(line.decode()) for line in text.split() if len(line) == _WIDTH}
            else:
                for path in (file, lock_file):
                    path.unlink(missing_ok=True)
        return found

    def add(self, identities: Iterable[bytes]) -> None:
        """Claim these."""
        self._own |= set(identities)
        self._file.write_text("".join(identity.hex() + "\n" for identity in sorted(self._own)))

    def drop(self, identity: bytes) -> None:
        """No longer at work on this. The file follows with the next claim: a record outweighs a claim."""
        self._own.discard(identity)

    def close(self) -> None:
        """Give all claims back."""
        with suppress(OSError):
            self._file.unlink(missing_ok=True)
        self._lock.release()
        with suppress(OSError):
            self._lock_file.unlink(missing_ok=True)
            self._folder.rmdir()  # if it is empty


def _held(path: Path) -> bool:
    lock = FileLock(path, timeout=0)
    try:
        with lock:
            return False
    except Timeout:
        return True
