# SPDX-License-Identifier: Apache-2.0
"""The checkpoint for machines without a GPU has the size that it is said to have, and can be asked."""

from __future__ import annotations

import json

import torch
from transformers import LlavaNextVideoForConditionalGeneration

from llava_cli.bench import small
from llava_cli.demo import CHECKPOINT
from llava_cli.session import Session


def test_it_has_about_100_million_weights():
    config = small.enlarged(json.loads((CHECKPOINT / "config.json").read_bytes()))
    with torch.device("meta"):
        model = LlavaNextVideoForConditionalGeneration(config)
    assert 90e6 < model.num_parameters() < 110e6


def test_it_can_be_asked(tmp_path, monkeypatch, request_for):
    monkeypatch.setattr(small, "_TEXT", {"num_hidden_layers": 2})
    monkeypatch.setattr(small, "_VISION", {})
    folder = small.write_checkpoint(tmp_path / small.NAME)
    with Session(str(folder)) as session:
        assert session.ask(request_for).completion.completion_tokens > 0
