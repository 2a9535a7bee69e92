# SPDX-License-Identifier: Apache-2.0
"""What is measured on which machine."""

from __future__ import annotations

from contextlib import nullcontext

import pytest

from llava_cli.bench import everything
from llava_cli.bench.everything import FULL, SMALL, bench_all, suitable


@pytest.mark.parametrize(
    ("gpu", "cores", "size"), [(True, 2, FULL), (False, 64, FULL), (False, 2, SMALL)], ids=["gpu", "cores", "neither"]
)
def test_the_size_suits_the_machine(monkeypatch, gpu, cores, size):
    monkeypatch.setattr(everything.torch.cuda, "is_available", lambda: gpu)
    monkeypatch.setattr(everything, "cores", lambda: cores)
    assert suitable() == size


@pytest.fixture
def measured(monkeypatch):
    """What would be measured, by name, in the place of measuring it; and the checkpoints that are opened."""
    opened: list[tuple[str, bool]] = []

    def session(name, dummy=False):
        opened.append((name, dummy))
        return nullcontext()

    monkeypatch.setattr(everything, "Session", session)
    monkeypatch.setattr(everything.small, "write_checkpoint", lambda folder: folder)
    monkeypatch.setattr(everything, "bench_rendered", lambda *_: "frames")
    monkeypatch.setattr(
        everything, "bench_batch", lambda *given, name="batch", told=None: given[7] if given[7:] else name
    )
    monkeypatch.setattr(everything, "bench_answer", lambda *given: given[5])
    return opened


def test_without_a_gpu_a_small_checkpoint_stands_for_the_large_one(measured, monkeypatch, tmp_path):
    monkeypatch.setattr(everything.torch.cuda, "is_available", lambda: False)
    assert list(bench_all(SMALL, "next-video-7b", tmp_path, "x")) == ["frames", "batch", "answer-demo", "answer-large"]
    assert measured == [("demo", False), (str(tmp_path / "random-100m"), False)]


@pytest.mark.parametrize("dummy", ["next-video-7b", None])
def test_on_a_gpu_the_named_geometry_is_measured(measured, monkeypatch, tmp_path, dummy):
    monkeypatch.setattr(everything.torch.cuda, "is_available", lambda: True)
    names = list(bench_all(FULL, dummy, tmp_path, "x"))
    assert names == ["frames", "batch", "answer-demo", "answer-large", "batch-large"]
    assert measured[1] == ((dummy, True) if dummy else (str(tmp_path / "random-100m"), False))
