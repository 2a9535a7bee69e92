# SPDX-License-Identifier: Apache-2.0
"""The memory plan: counted on the real model's skeleton, refused before loading, and told what would fit."""

from __future__ import annotations

import pytest
import torch

from llava_cli.engine.loader import Loader
from llava_cli.engine.memory import GIB, free_memory, is_out_of_memory
from llava_cli.engine.types import LoadOptions
from llava_cli.errors import OutOfMemory
from llava_cli.models.checkpoint import dummy_checkpoint, open_checkpoint
from llava_cli.models.registry import family_of


def loader(name: str, **options: object) -> Loader:
    return Loader(family_of(dummy_checkpoint(name)), LoadOptions(device="cpu", dtype="bfloat16", **options))


def test_the_7b_s_weights_and_cache():
    seven = loader("next-video-7b").plan([(4608, 256)])
    assert seven.weights == pytest.approx(7.063e9 * 2, rel=0.01)
    # Half a MiB of keys and values for each token.
    assert seven.cache == (4608 + 256) * GIB // 2048


def test_quantized_weights_are_smaller_and_the_eyes_stay():
    full = loader("next-video-7b").plan([(1, 1)]).weights
    four = loader("next-video-7b", quantization="4bit").plan([(1, 1)]).weights
    eight = loader("next-video-7b", quantization="8bit").plan([(1, 1)]).weights
    everything = loader("next-video-7b", quantization="4bit", quantize_all=True).plan([(1, 1)]).weights
    assert full > eight > four > everything > full / 4


def test_the_plan_matches_the_weights_that_are_loaded(folder):
    family = family_of(open_checkpoint(str(folder)))
    for options in (LoadOptions("cpu", "float32"), LoadOptions("cpu", "bfloat16", quantization="4bit")):
        planned = Loader(family, options)
        model = planned.load()._model
        held = sum(w.numel() * w.dtype.itemsize for w in model.parameters())
        if options.quantization is None:
            assert planned.plan([(1, 1)]).weights == held
        else:  # the scales are kept beside the parameters
            assert planned.plan([(1, 1)]).weights == pytest.approx(held, rel=0.05)


def test_what_does_not_fit_is_refused_with_what_would(monkeypatch):
    monkeypatch.setattr("llava_cli.engine.loader.free_memory", lambda device: 10 * GIB)
    with pytest.raises(OutOfMemory, match="--4bit would fit"):
        loader("next-video-7b").check_memory([(4608, 256)])
    with pytest.raises(OutOfMemory, match="smaller checkpoint"):
        loader("next-video-34b").check_memory([(3456, 256)])
    loader("next-video-7b", quantization="4bit").check_memory([(4608, 256)])


def test_free_memory_of_the_machine():
    assert 0 < free_memory("cpu") < 1 << 50


def test_out_of_memory_in_all_its_forms():
    assert is_out_of_memory(MemoryError())
    assert is_out_of_memory(torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"))
    assert is_out_of_memory(RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried"))
    assert not is_out_of_memory(RuntimeError("shapes do not match"))
    assert not is_out_of_memory(KeyboardInterrupt())
