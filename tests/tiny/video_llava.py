# SPDX-License-Identifier: Apache-2.0
"""Tiny Video-LLaVA checkpoints."""

from __future__ import annotations

from pathlib import Path

import torch
from transformers import LlamaConfig, VideoLlavaConfig, VideoLlavaForConditionalGeneration

from tiny.llava_next_video import IMAGE_SIZE, PATCH, TEMPLATE
from tiny.parts import LANGUAGE, clip_preprocessor, clip_tower, enlarge, keep_answers_readable, write
from tiny.tokenizers import IMAGE, VIDEO, llama_tokenizer


def make(folder: Path) -> Path:
    """Write a checkpoint; its placeholders' ids stand in another order than the released one's."""
    tokenizer = llama_tokenizer()
    text = LANGUAGE | {"vocab_size": len(tokenizer)}
    config = VideoLlavaConfig(
        vision_config=clip_tower(IMAGE_SIZE, PATCH), text_config=LlamaConfig(**text).to_dict(),
        video_token_index=VIDEO, image_token_index=IMAGE,
    )  # fmt: skip
    torch.manual_seed(0)
    model = VideoLlavaForConditionalGeneration(config)
    enlarge(model, 1.5, embeddings=1)
    keep_answers_readable(model, tokenizer)
    return write(folder, model, tokenizer, clip_preprocessor(IMAGE_SIZE), TEMPLATE)
