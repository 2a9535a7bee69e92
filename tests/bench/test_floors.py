# SPDX-License-Identifier: Apache-2.0
"""The least that a machine needs, from given numbers; and that the numbers can be measured."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch
from torch.nn import Embedding, Linear, functional

from llava_cli.bench import floors
from llava_cli.bench.floors import Speed, bytes_per_token, measure, operations, weight_bytes

H100 = Speed(memory=3.0e12, upload=5.0e10, products=6.5e14)


def test_floors_from_given_numbers():
    assert H100.token_s(13.2e9, 0.3e9) == pytest.approx(0.0045)
    assert H100.compute_s(65e12) == pytest.approx(0.1)
    assert H100.load_s(14e9) == pytest.approx(0.28)
    assert str(H100) == "memory 3,000 GB/s, matrix products 650,000 GFLOP/s"


def test_this_machine_can_be_measured(monkeypatch):
    monkeypatch.setattr(floors, "GIB", 1 << 22)
    speed = measure("cpu", torch.float32)
    assert min(speed.memory, speed.upload, speed.products) > 1e6


def test_matrix_products_are_counted_and_attention_is_not():
    left, right = torch.ones(3, 4), torch.ones(4, 5)
    states = torch.ones(1, 1, 6, 8)
    with torch.inference_mode():
        assert operations(lambda: left @ right) == 2 * 3 * 4 * 5
        assert operations(lambda: (left @ right, functional.scaled_dot_product_attention(states, states, states))) in (
            2 * 3 * 4 * 5,
            2 * 3 * 4 * 5 + 2 * 2 * 6 * 6 * 8,  # where torch makes products of it
        )


class Model(torch.nn.Module):
    """Words, one layer and a head; and a tower, which words do not pass through."""

    def __init__(self, tied: bool) -> None:
        super().__init__()
        self.tower = Linear(7, 7, bias=False)
        self.decoder = torch.nn.ModuleDict({"words": Embedding(10, 4), "layer": Linear(4, 4, bias=False)})
        self.head = Linear(4, 10, bias=False)
        if tied:
            self.head.weight = self.decoder["words"].weight

    def get_decoder(self):
        return self.decoder

    def get_input_embeddings(self):
        return self.decoder["words"]

    def get_output_embeddings(self):
        return self.head


@pytest.mark.parametrize("tied", [False, True])
def test_a_token_needs_the_layers_and_the_head_and_no_table_of_words(tied):
    model = Model(tied)
    assert bytes_per_token(model) == 4 * (4 * 4 + 4 * 10)
    assert weight_bytes(model) == 4 * (7 * 7 + 4 * 4 + (1 if tied else 2) * 4 * 10)
    assert bytes_per_token(model.half()) == 2 * (4 * 4 + 4 * 10)


def test_a_gpu_is_waited_for(monkeypatch):
    waited = []
    monkeypatch.setattr(floors.torch, "cuda", SimpleNamespace(synchronize=waited.append))
    floors.timed(lambda: waited.append("run"), "cuda:1")
    floors.timed(lambda: None, "cpu")
    assert waited == ["cuda:1", "run", "cuda:1"]
