# SPDX-License-Identifier: Apache-2.0
"""From a checkpoint's files to an engine: in which numbers, what it takes, and what is refused before it is read."""

from __future__ import annotations

import gc
import shutil
import tempfile
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from answering import (
    answers_of,
    dummy_loader,
    engine_of,
    layers_in_4_bit,
    spread_loader,
    streamed,
    text_of,
)
from pictures import clip

from llava_cli.engine.kv_cache import KVCache
from llava_cli.engine.loader import Loader
from llava_cli.engine.memory import GIB
from llava_cli.engine.types import LoadOptions
from llava_cli.errors import ModelError, OutOfMemory
from llava_cli.models.checkpoint import dummy_checkpoint, open_checkpoint, with_linear_rope
from llava_cli.models.messages import Conversation, Turn, ask
from llava_cli.models.registry import family_of


def test_the_number_format_does_not_depend_on_what_is_downloaded(folder, tmp_path):
    """The first run, before the download, and a later one continue the same list."""
    small = shutil.copytree(folder, tmp_path / "small", ignore=shutil.ignore_patterns("*.safetensors"))
    options = LoadOptions("cpu")
    dtypes = {Loader(family_of(open_checkpoint(str(path))), options).dtype for path in (folder, small)}
    assert dtypes == {torch.float32}


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
    monkeypatch.setattr("llava_cli.engine.planning.free_memory", lambda device: 10 * GIB)
    with pytest.raises(OutOfMemory, match="--4bit would fit"):
        dummy_loader("next-video-7b").check_memory([(4608, 256)])
    with pytest.raises(OutOfMemory, match="smaller checkpoint"):
        dummy_loader("next-video-34b").check_memory([(3456, 256)])
    dummy_loader("next-video-7b", quantization="4bit").check_memory([(4608, 256)])


@pytest.fixture
def scratch(tmp_path, monkeypatch) -> Path:
    """Where temporary files go."""
    folder = tmp_path / "scratch"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


def test_layers_on_disk_are_read_from_the_checkpoint_s_own_files_and_nothing_is_left(folder, scratch):
    engine = spread_loader(folder, 0).load()
    assert text_of(engine, [clip(8, 56, 56)])
    (offloaded,) = scratch.iterdir()
    assert all(path.is_symlink() or path.suffix == ".json" for path in offloaded.iterdir())
    del engine
    gc.collect()
    assert not any(scratch.iterdir())


def test_random_layers_on_disk_are_written_and_removed(folder, scratch):
    loader = spread_loader(folder, 0)
    loader.family = family_of(replace(loader.family.checkpoint, dummy=True))
    engine = loader.load()
    assert any(path.suffix == ".safetensors" for path in scratch.rglob("*"))
    assert text_of(engine, [clip(8, 56, 56)])
    del engine
    gc.collect()
    assert not any(scratch.iterdir())


def test_a_checkpoint_that_cannot_be_loaded_leaves_nothing(folder, tmp_path, scratch):
    damaged = shutil.copytree(folder, tmp_path / "damaged")
    (damaged / "model.safetensors").write_bytes(b"no weights")
    with pytest.raises(ModelError, match="cannot be loaded"):
        spread_loader(damaged, 0).load()
    assert not any(scratch.iterdir())


def test_a_conversation_and_a_shared_beginning_on_several_devices(folder, engine):
    spread = spread_loader(folder, 1).load()
    seen = clip(16, 56, 56)
    asked = [ask(question, [seen]) for question in ("Why?", "How many shapes are there?")]
    texts = []
    for each in (engine, spread):
        cache = KVCache()
        turns = asked[0].turns
        for question in ("And then?", "Are you sure?"):
            answer = streamed(each, Conversation(turns), cache=cache)[1].text
            turns = (*turns, Turn("assistant", (answer,)), Turn("user", (question,)))
        last = streamed(each, Conversation(turns), cache=cache)[1]
        assert last.cached_tokens
        texts.append([last.text, *(answer.text for answer in answers_of(each, asked))])
    assert texts[1] == texts[0]


def test_8_bit_answers_on_the_cpu(folder):
    engine = engine_of(folder, quantization="8bit")
    assert engine.info.quantization == "int8"
    assert text_of(engine, [clip(8, 56, 56)])


def test_quantize_all_leaves_only_the_last_layer(folder):
    quantized = layers_in_4_bit(engine_of(folder, quantization="4bit", quantize_all=True))
    assert any(name.startswith("model.vision_tower.") for name in quantized)
    assert "lm_head" not in quantized


def test_bfloat16_on_the_cpu_answers(folder):
    engine = engine_of(folder, dtype="bfloat16")
    assert engine.info.dtype == "bfloat16"
    assert text_of(engine, [clip(8, 56, 56)])


def test_a_stretched_context_is_told():
    stretched = Loader(family_of(with_linear_rope(dummy_checkpoint("interleave-0.5b"), 2.5)), LoadOptions("cpu"))
    assert stretched.info.rope_scaling == "linear:2.5"
    assert dummy_loader("interleave-0.5b").info.rope_scaling is None
