# SPDX-License-Identifier: Apache-2.0
"""What may be used of a machine, where cgroups allow less than there is."""

from __future__ import annotations

import os
from pathlib import Path

import psutil
import pytest

from llava_cli.machine import available_memory, cores, memory_limit

PHYSICAL = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
UNLIMITED = 9223372036854771712
"""What version 1 says for no limit."""


@pytest.fixture(autouse=True)
def free(monkeypatch: pytest.MonkeyPatch) -> None:
    memory = psutil.virtual_memory()._replace(available=1 << 40)
    monkeypatch.setattr(psutil, "virtual_memory", lambda: memory)


class Machine:
    """A file system of cgroups, and the list of those that a process is in."""

    def __init__(self, root: Path, *own: str) -> None:
        self.root, self.own = root, root / "own"
        self.own.write_text("".join(f"{line}\n" for line in own))

    def v2(self, path: str, limit: int | str, used: int = 0, cached: int = 0) -> None:
        self._write(
            path, {"memory.max": limit, "memory.current": used, "memory.stat": f"anon 7\ninactive_file {cached}"}
        )

    def v1(self, path: str, limit: int, used: int = 0, cached: int = 0) -> None:
        stat = f"inactive_file 7\ntotal_inactive_file {cached}"
        known = {"memory.limit_in_bytes": limit, "memory.usage_in_bytes": used, "memory.stat": stat}
        self._write(f"memory/{path}", known)

    def _write(self, path: str, files: dict[str, object]) -> None:
        folder = self.root / path
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in files.items():
            (folder / name).write_text(f"{content}\n")

    @property
    def memory(self) -> tuple[int, int]:
        return memory_limit(self.root, self.own), available_memory(self.root, self.own)


def test_without_cgroups_it_is_the_machine_s(tmp_path: Path) -> None:
    assert memory_limit(tmp_path, tmp_path / "none") == PHYSICAL
    assert available_memory(tmp_path, tmp_path / "none") == 1 << 40


def test_no_limit_is_none(tmp_path: Path) -> None:
    machine = Machine(tmp_path, "4:memory:/job", "0::/job")
    machine.v2("job", "max", 10)
    machine.v1("job", UNLIMITED, 10)
    assert machine.memory == (PHYSICAL, 1 << 40)


def test_a_limit_of_version_2_with_page_cache_that_can_be_had_back(tmp_path: Path) -> None:
    machine = Machine(tmp_path, "0::/slurm/job")
    machine.v2("slurm/job", 1000, used=900, cached=300)
    assert machine.memory == (1000, 400)


def test_a_limit_of_version_1(tmp_path: Path) -> None:
    machine = Machine(tmp_path, "5:cpu,cpuacct:/elsewhere", "4:hugetlb,memory:/job", "0::/")
    machine.v1("job", 1000, used=900, cached=300)
    machine.v1("elsewhere", 10)
    assert machine.memory == (1000, 400)


@pytest.mark.parametrize("level", ["", "slurm", "slurm/job", "slurm/job/step"])
def test_every_level_counts(tmp_path: Path, level: str) -> None:
    machine = Machine(tmp_path, "0::/slurm/job/step")
    for path in ("slurm", "slurm/job", "slurm/job/step"):
        machine.v2(path, 5000)
    machine.v2(level, 1000, used=999)
    machine.v2("slurm/other", 1)
    assert machine.memory == (1000, 1)


def test_the_limit_and_the_least_free_may_be_of_two_levels(tmp_path: Path) -> None:
    machine = Machine(tmp_path, "0::/slurm/job")
    machine.v2("slurm", 5000, used=4900)
    machine.v2("slurm/job", 1000, used=100)
    assert machine.memory == (1000, 100)


def test_in_a_container_the_path_is_the_host_s_and_the_root_its_own(tmp_path: Path) -> None:
    machine = Machine(tmp_path, "4:memory:/docker/0123")
    machine.v1("", 1000, used=600)
    assert machine.memory == (1000, 400)


def test_a_limit_that_is_passed_leaves_nothing(tmp_path: Path) -> None:
    machine = Machine(tmp_path, "0::/job")
    machine.v2("job", 1000, used=2000)
    assert machine.memory == (1000, 0)


def test_a_limit_counts_where_nothing_more_is_told(tmp_path: Path) -> None:
    machine = Machine(tmp_path, "0::/job")
    (tmp_path / "job").mkdir()
    (tmp_path / "job" / "memory.max").write_text("1000\n")
    assert machine.memory == (1000, 1000)


def test_cores_are_those_that_this_process_may_use(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {1, 5, 6}, raising=False)
    assert cores() == 3
    monkeypatch.delattr(os, "sched_getaffinity")
    monkeypatch.setattr(os, "cpu_count", lambda: 7)
    assert cores() == 7
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    assert cores() == 1
