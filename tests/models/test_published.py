# SPDX-License-Identifier: Apache-2.0
"""The released checkpoints: what is known of them without a download is enough to build their models."""

from __future__ import annotations

import re

import pytest
from pictures import still

from llava_cli.engine.loader import Loader
from llava_cli.engine.types import LoadOptions
from llava_cli.models.checkpoint import DEFAULT, dummy_checkpoint
from llava_cli.models.published import PUBLISHED
from llava_cli.models.registry import family_of

# Hub ids say how many billion weights the language model has; Qwen's 7B have 7.6, and a tower comes on top.
BILLIONS = {"0.5b": (0.8, 1.1), "7b": (6.9, 8.2), "8b": (8.4, 8.6), "34b": (34, 35.5), "72b": (72, 74)}


@pytest.mark.parametrize("name", PUBLISHED)
def test_the_model_has_the_size_of_its_name(name):
    loader = Loader(family_of(dummy_checkpoint(name)), LoadOptions(device="cpu"))
    size = re.search(r"-(\d[\d.]*b)", name).group(1)
    assert re.search(size, PUBLISHED[name].hub_id, re.IGNORECASE)
    least, most = BILLIONS[size]
    assert least < sum(weight.numel() for weight in loader.skeleton.parameters()) / 1e9 < most


def test_the_default_is_one_of_them():
    assert DEFAULT in PUBLISHED
    assert not any(name == "demo" or "/" in name for name in PUBLISHED)
    assert len({published.hub_id for published in PUBLISHED.values()}) == len(PUBLISHED)


@pytest.mark.parametrize("name", PUBLISHED)
def test_nothing_that_is_read_of_them_is_left_to_the_library(name, monkeypatch):
    """They are listed, and their frames shown, where there is no transformers."""
    monkeypatch.setattr("llava_cli.models.library.defaults", lambda config: pytest.fail("the library was asked"))
    family = family_of(dummy_checkpoint(name))
    _ = family.context, family.most_frames, family.template, family.placeholder_ids
    assert family.visual_tokens(still(480, 640)) > 0


def test_the_conversions_of_onevision_have_rows_for_more_words():
    words = {name: PUBLISHED[name].config["text_config"]["vocab_size"] for name in PUBLISHED if "onevision-" in name}
    assert words == {"onevision-0.5b": 152000, "onevision-7b": 152128, "onevision-72b": 152128}
