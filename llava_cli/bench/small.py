# SPDX-License-Identifier: Apache-2.0
"""A checkpoint of about 100 million random weights, for machines on which those of billions would take hours."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

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
    config = enlarged(json.loads((CHECKPOINT / "config.json").read_bytes()))
    shutil.copytree(CHECKPOINT, folder, ignore=shutil.ignore_patterns("*.safetensors", "generation_config.json"))
    torch.manual_seed(0)
    LlavaNextVideoForConditionalGeneration(config).save_pretrained(folder)
    return folder


def enlarged(config: dict[str, Any]) -> LlavaNextVideoConfig:
    """The demo checkpoint's configuration with the sizes of this one."""
    parts = {name: config[name] | sizes for name, sizes in (("text_config", _TEXT), ("vision_config", _VISION))}
    return LlavaNextVideoConfig.from_dict(config | parts)
