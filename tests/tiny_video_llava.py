# SPDX-License-Identifier: Apache-2.0
"""Tiny Video-LLaVA checkpoints in the hub's file layout, made on the fly and deterministic.

Their weights are random but large, so that what they say changes with every frame, colour and word.
"""

from __future__ import annotations

from pathlib import Path

import torch
from tiny_checkpoint import TEMPLATE, sentencepiece_tokenizer
from tiny_parts import LANGUAGE, clip_preprocessor, clip_tower, enlarge, keep_answers_readable, write
from transformers import LlamaConfig, VideoLlavaConfig, VideoLlavaForConditionalGeneration

IMAGE_SIZE, PATCH = 56, 14
VIDEO, IMAGE = 3, 4
"""The tokenizer's ids of the placeholders: not those of the released checkpoint, in the other order."""


def make(folder: Path, *, template: str | None = TEMPLATE) -> Path:
    """Write a checkpoint."""
    tokenizer = sentencepiece_tokenizer()
    text = LANGUAGE | {"vocab_size": len(tokenizer)}
    config = VideoLlavaConfig(
        vision_config=clip_tower(IMAGE_SIZE, PATCH), text_config=LlamaConfig(**text).to_dict(),
        video_token_index=VIDEO, image_token_index=IMAGE,
    )  # fmt: skip
    torch.manual_seed(0)
    model = VideoLlavaForConditionalGeneration(config)
    enlarge(model, 1.5, embeddings=1)
    keep_answers_readable(model, tokenizer)
    return write(folder, model, tokenizer, clip_preprocessor(IMAGE_SIZE), template)
