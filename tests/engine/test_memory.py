# SPDX-License-Identifier: Apache-2.0
"""The memory plan: counted on the real model's skeleton, refused before loading, and told what would fit."""

from __future__ import annotations

import pytest
import torch
from answering import dummy_loader

from llava_cli.engine.memory import GIB, MemoryPlan, free_memory, is_out_of_memory


def test_the_7b_s_weights_and_cache():
    seven = dummy_loader("next-video-7b").plan([(4608, 256)])
    assert seven.weights == pytest.approx(7.063e9 * 2, rel=0.01)
    # Half a MiB of keys and values for each token.
    assert seven.cache == (4608 + 256) * GIB // 2048


def test_quantized_weights_are_smaller_and_the_eyes_stay():
    full = dummy_loader("next-video-7b").plan([(1, 1)]).weights
    four = dummy_loader("next-video-7b", quantization="4bit").plan([(1, 1)]).weights
    eight = dummy_loader("next-video-7b", quantization="8bit").plan([(1, 1)]).weights
    everything = dummy_loader("next-video-7b", quantization="4bit", quantize_all=True).plan([(1, 1)]).weights
    assert full > eight > four > everything > full / 4


def test_each_device_must_hold_its_own():
    small, large = MemoryPlan(5, 1, 1, free=8, fixed=1), MemoryPlan(2, 1, 0, free=100, fixed=1)
    assert small.fits()
    assert not small.fits(0.99)
    assert MemoryPlan(7, 2, 1, 108, 2, {"cuda:0": small, "cuda:1": large}).fits()
    assert not MemoryPlan(7, 2, 1, 108, 2, {"cuda:0": small, "cuda:1": large}).fits(0.99)


def test_free_memory_of_the_machine():
    assert 0 < free_memory("cpu") < 1 << 50


def test_out_of_memory_in_all_its_forms():
    assert is_out_of_memory(MemoryError())
    assert is_out_of_memory(torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"))
    assert is_out_of_memory(RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried"))
    assert not is_out_of_memory(RuntimeError("shapes do not match"))
    assert not is_out_of_memory(KeyboardInterrupt())
