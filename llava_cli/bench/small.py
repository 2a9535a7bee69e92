# SPDX-License-Identifier: Apache-2.0
"""A checkpoint of about 100 million random weights, for machines on which those of billions would take hours."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import torch
from transformers import LlavaNextVideoConfig, LlavaNextVideoForConditionalGeneration

from llava_cli.demo import CHECKPOINT

NAME = "random-100m"

_TEXT = {
    "hidden_size": 768, "intermediate_size": 2048, "num_hidden_layers": 10, "num_attention_heads": 12,
    "num_key_value_heads": 12, "head_dim": 64,
}  # fmt: skip
_VISION = {"hidden_size": 512, "intermediate_size": 2048, "num_hidden_layers": 8, "num_attention_heads": 8}


def write_checkpoint(folder: Path) -> Path:
    """Write it into a folder that is not there yet: the demo checkpoint's files, but larger and random."""
    shutil.copytree(CHECKPOINT, folder, ignore=shutil.ignore_patterns("*.safetensors", "generation_config.json"))
    config = json.loads((folder / "config.json").read_bytes())
    config["text_config"] |= _TEXT
    config["vision_config"] |= _VISION
    torch.manual_seed(0)
    model = LlavaNextVideoForConditionalGeneration(LlavaNextVideoConfig.from_dict(config))
    model.save_pretrained(folder)
    return folder
