# SPDX-License-Identifier: Apache-2.0
"""Random weights that are made when they are read: the same each time, in the shapes of the model."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from answering import text_of
from pictures import clip

from llava_cli.engine.dummy import RandomWeight, random_weights
from llava_cli.engine.loader import Loader
from llava_cli.engine.types import LoadOptions
from llava_cli.models.checkpoint import open_checkpoint
from llava_cli.models.registry import family_of


@pytest.fixture
def loader(folder) -> Loader:
    """The tiny checkpoint, as if it had no weights."""
    checkpoint = replace(open_checkpoint(str(folder)), dummy=True)
    return Loader(family_of(checkpoint), LoadOptions("cpu", "bfloat16"))


def test_each_weight_of_the_model_has_one_of_its_shape(loader):
    made = random_weights(loader.skeleton)
    state = loader.skeleton.state_dict()
    assert made.keys() == state.keys()
    for name, weight in made.items():
        assert weight.get_shape() == list(state[name].shape)
        assert weight[...].shape == state[name].shape
        assert weight.get_dtype() == "BF16"


def test_they_are_small_not_all_alike_and_the_same_each_time(loader):
    one, other = (random_weights(loader.skeleton)["lm_head.weight"][...] for _ in range(2))
    assert torch.equal(one, other)
    assert 0 < one.float().abs().max() <= 0.0301
    assert len(one.unique()) > 100


def test_a_part_is_that_part_of_the_whole_though_it_is_larger_than_what_is_drawn(monkeypatch):
    monkeypatch.setattr("llava_cli.engine.dummy._BLOCK", 8)
    weight = RandomWeight(torch.empty(7, 5, device="meta"), torch.arange(8.0))
    whole = weight[...]
    assert whole.flatten().tolist() == [number % 8 for number in range(35)]
    assert torch.equal(weight[2:4], whole[2:4])
    assert torch.equal(weight[:, 1], whole[:, 1])


def test_the_loader_takes_them_for_a_file_s_and_the_model_answers(loader):
    engine = loader.load()
    assert engine.info.dummy
    assert text_of(engine, [clip(4, 56, 56)])
