# SPDX-License-Identifier: Apache-2.0
"""A GPU's work is read off its driver's own program while something runs."""

from __future__ import annotations

import time

import pytest

from llava_cli.bench import busy
from llava_cli.bench.busy import gpu_busy


@pytest.fixture
def said(tmp_path, monkeypatch):
    """What the program was asked; it says three times how busy the GPU is, and something else once."""
    path = tmp_path / "nvidia-smi"
    path.write_text(f"#!/bin/sh\necho \"$@\" > {tmp_path}/said\nprintf '50\\n100\\n[N/A]\\n0\\n'\nexec sleep 60\n")
    path.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setattr(busy, "_uuid", lambda device: f"GPU-of-{device}")
    return tmp_path / "said"


def test_samples_are_there_once_it_has_ended(said):
    with gpu_busy("cuda:1") as samples:
        while not said.exists():
            time.sleep(0.01)
        time.sleep(0.2)
    assert samples == [0.5, 1.0, 0.0]
    assert "--id=GPU-of-cuda:1" in said.read_text()


def test_a_cpu_is_not_watched(said):
    with gpu_busy("cpu") as samples:
        pass
    assert samples == []
    assert not said.exists()


def test_without_the_program_nothing_is_known(monkeypatch):
    monkeypatch.setenv("PATH", "")
    with gpu_busy("cuda:0") as samples:
        pass
    assert samples == []
