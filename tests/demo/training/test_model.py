# SPDX-License-Identifier: Apache-2.0
"""The untrained model: what it is made of fits what it is fed, and it learns."""

import pytest
import torch
from torch import nn

from llava_cli.demo.training.model import VISION_WIDTH, Optimiser, _cosine_filters, _wave_places, build_model
from llava_cli.demo.training.pixels import GRID, PATCH
from llava_cli.demo.training.tokenizer import VOCABULARY


def test_it_is_small_enough_to_ship_in_half_precision() -> None:
    model = build_model()
    assert sum(weight.numel() for weight in model.parameters()) * 2 < 4_000_000
    assert model.get_input_embeddings().num_embeddings == VOCABULARY
    assert model.get_input_embeddings().weight is model.lm_head.weight


def test_patch_filters_are_all_different_and_most_see_no_plain_colour() -> None:
    filters = _cosine_filters()
    assert filters.shape == (VISION_WIDTH, 3, PATCH, PATCH)
    flat = nn.functional.normalize(filters.flatten(1), dim=1)
    alike = (flat @ flat.T - torch.eye(VISION_WIDTH)).abs().max()
    assert alike < 0.05
    plain = filters.sum(dim=(2, 3)).abs().amax(dim=1) > 1e-4
    assert plain.sum() == 3  # lightness and two hues


def test_no_two_places_look_alike() -> None:
    places = _wave_places()
    assert places.shape == (GRID**2, VISION_WIDTH)
    distances = torch.cdist(places, places) + torch.eye(GRID**2) * 9
    assert distances.min() > 0.1


@pytest.mark.parametrize("scale", [1.0, 0.3])
def test_the_optimiser_moves_every_parameter_down_the_loss(scale: float) -> None:
    torch.manual_seed(0)
    layers = nn.ModuleDict({"layers": nn.Linear(6, 6), "head": nn.Linear(6, 1)})
    before = {name: weight.detach().clone() for name, weight in layers.named_parameters()}
    optimiser = Optimiser(layers.named_parameters(), steps=30, warmup=5, scale=scale)
    seen, truth = torch.randn(64, 6), torch.randn(64, 1)
    losses = []
    for _ in range(30):
        loss = (layers["head"](torch.relu(layers["layers"](seen))) - truth).square().mean()
        optimiser.step(loss)
        losses.append(float(loss.detach()))
    assert losses[-1] < losses[0]
    assert all((weight != before[name]).any() for name, weight in layers.named_parameters())
