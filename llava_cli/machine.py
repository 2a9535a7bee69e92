# SPDX-License-Identifier: Apache-2.0
"""What this process may use of the machine that it is on: cores, and memory within the limits of its cgroups.

A container or a Slurm job is a cgroup. Its limit, and those of the cgroups that it is in, bound what may be used,
whatever the machine has free.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

CGROUP_FS = Path("/sys/fs/cgroup")
"""Where the cgroups are mounted."""
OWN_CGROUP = Path("/proc/self/cgroup")
"""Where it says which ones this process is in."""

# For cgroups of version 2, then 1: the limit, the usage, and how much of it is page cache that is soon given back.
_FILES = (
    ("memory.max", "memory.current", "inactive_file"),
    ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
)


def cores() -> int:
    """The number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def memory_limit(cgroup_fs: Path = CGROUP_FS, own_cgroup: Path = OWN_CGROUP) -> int:
    """The bytes of memory that this process may use in all: the machine's, or less where a cgroup allows less."""
    physical = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return min([physical, *(limit for limit, _ in _limits(cgroup_fs, own_cgroup))])


def available_memory(cgroup_fs: Path = CGROUP_FS, own_cgroup: Path = OWN_CGROUP) -> int:
    """The bytes of memory that can be had now without swapping, and without passing a cgroup's limit."""
    import psutil

    free = int(psutil.virtual_memory().available)
    return max(0, min([free, *(limit - used for limit, used in _limits(cgroup_fs, own_cgroup))]))


def _limits(cgroup_fs: Path, own_cgroup: Path) -> Iterator[tuple[int, int]]:
    """The limit and the usage, in bytes, of each cgroup around this process that has a limit."""
    for folder in _cgroups(cgroup_fs, own_cgroup):
        for maximum, usage, reclaimable in _FILES:
            limit = _number(folder / maximum)
            if limit is not None:
                yield limit, (_number(folder / usage) or 0) - (_number(folder / "memory.stat", reclaimable) or 0)


def _number(file: Path, name: str = "") -> int | None:
    """What a file holds, or says after a name; None where it is not there, and for "max", which is no limit."""
    try:
        lines = file.read_text().splitlines()
        return next(int(line.removeprefix(name)) for line in lines if line.startswith(name))
    except (OSError, ValueError, StopIteration):
        return None


def _cgroups(cgroup_fs: Path, own_cgroup: Path) -> Iterator[Path]:
    """The folders of the cgroups that this process is in, each with all that it is inside of."""
    try:
        lines = own_cgroup.read_text().splitlines()
    except OSError:
        return
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers and "memory" not in controllers.split(","):
            continue
        mounts = [cgroup_fs / "memory"] if controllers else [cgroup_fs, cgroup_fs / "unified"]
        inside = Path(path.lstrip("/"))
        for mount in mounts:
            for level in (inside, *inside.parents):
                yield mount / level
