# SPDX-License-Identifier: Apache-2.0
"""Tiny Video-LLaVA checkpoints in the hub's file layout, made on the fly and deterministic.

Their weights are random but large, so that what they say changes with every frame, colour and word.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from tiny_checkpoint import TEMPLATE, sentencepiece_tokenizer
from transformers import (
    CLIPVisionConfig,
    LlamaConfig,
    PreTrainedModel,
    PreTrainedTokenizerFast,
    VideoLlavaConfig,
    VideoLlavaForConditionalGeneration,
)

IMAGE_SIZE, PATCH = 56, 14
VIDEO, IMAGE = 3, 4
"""The tokenizer's ids of the placeholders: not those of the released checkpoint, in the other order."""


def make(folder: Path, *, template: str | None = TEMPLATE) -> Path:
    """Write a checkpoint."""
    tokenizer = sentencepiece_tokenizer()
    tokenizer.save_pretrained(folder)
    if template is not None:
        (folder / "chat_template.json").write_text(json.dumps({"chat_template": template}))
    config = VideoLlavaConfig(
        vision_config=CLIPVisionConfig(
            hidden_size=32, intermediate_size=64, num_hidden_layers=3, num_attention_heads=2,
            image_size=IMAGE_SIZE, patch_size=PATCH, projection_dim=32,
        ).to_dict(),
        text_config=LlamaConfig(
            hidden_size=64, intermediate_size=128, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2,
            vocab_size=len(tokenizer), max_position_embeddings=2048,
        ).to_dict(),
        video_token_index=VIDEO, image_token_index=IMAGE,
    )  # fmt: skip
    torch.manual_seed(0)
    model = VideoLlavaForConditionalGeneration(config)
    enlarge(model, 1.5)
    keep_answers_readable(model, tokenizer)
    model.save_pretrained(folder)
    preprocessor = {
        "image_mean": [0.48145466, 0.4578275, 0.40821073],
        "image_std": [0.26862954, 0.26130258, 0.27577711],
        "size": {"shortest_edge": IMAGE_SIZE},
        "crop_size": {"height": IMAGE_SIZE, "width": IMAGE_SIZE},
        "resample": 3,
    }
    (folder / "preprocessor_config.json").write_text(json.dumps(preprocessor))
    return folder


def enlarge(model: PreTrainedModel, scale: float) -> None:
    """Make the weights so large that every input counts."""
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if "embed_tokens" in name:
                weight.normal_()
            elif weight.ndim > 1:
                weight.normal_(0, scale / weight[0].numel() ** 0.5)
            elif "norm" not in name:
                weight.normal_(0, 0.3)


def keep_answers_readable(model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast) -> None:
    """Keep control tokens and parts of characters out of the answers: in their text they could not be told apart."""
    texts = [tokenizer.decode([token], skip_special_tokens=True) for token in range(len(model.lm_head.weight))]
    with torch.no_grad():
        model.lm_head.weight[[text == "" or "\ufffd" in text for text in texts]] = 0


def rename_weights_as_of_old(folder: Path) -> None:
    """Give the weights the names that they have in the released files."""
    file = folder / "model.safetensors"
    renamed = {
        re.sub(r"^((vision|video|image)_tower)\.", r"\1.vision_model.", name): weight
        for name, weight in load_file(file).items()
    }
    save_file(renamed, file, {"format": "pt"})
