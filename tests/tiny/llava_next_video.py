# SPDX-License-Identifier: Apache-2.0
"""Tiny LLaVA-NeXT-Video checkpoints."""

from __future__ import annotations

from pathlib import Path

import torch
from transformers import LlamaConfig, LlavaNextVideoConfig, LlavaNextVideoForConditionalGeneration

from tiny.parts import LANGUAGE, clip_preprocessor, clip_tower, enlarge, write
from tiny.tokenizers import IMAGE, VIDEO, llama_tokenizer

IMAGE_SIZE, PATCH = 56, 14
PINPOINTS = [[56, 112], [112, 56], [112, 112], [168, 56], [56, 168]]

# As the hub's template for the 7B: media first, images before videos.
TEMPLATE = (
    "{% for message in messages %}"
    "{% if message['role'] != 'system' %}{{ message['role'].upper() + ': ' }}{% endif %}"
    "{% for part in message['content'] | selectattr('type', 'equalto', 'image') %}{{ '<image>\\n' }}{% endfor %}"
    "{% for part in message['content'] | selectattr('type', 'equalto', 'video') %}{{ '<video>\\n' }}{% endfor %}"
    "{% for part in message['content'] | selectattr('type', 'equalto', 'text') %}"
    "{% if message['role'] != 'assistant' %}{{ part['text'] + ' ' }}"
    "{% else %}{% generation %}{{ part['text'] + ' ' }}{% endgeneration %}{% endif %}{% endfor %}"
    "{% endfor %}{% if add_generation_prompt %}{{ 'ASSISTANT:' }}{% endif %}"
)


def make(folder: Path) -> Path:
    """Write a checkpoint."""
    tokenizer = llama_tokenizer()
    text = LANGUAGE | {"vocab_size": len(tokenizer)}
    config = LlavaNextVideoConfig(
        vision_config=clip_tower(IMAGE_SIZE, PATCH), text_config=LlamaConfig(**text).to_dict(),
        video_token_index=VIDEO, image_token_index=IMAGE, image_grid_pinpoints=PINPOINTS,
    )  # fmt: skip
    torch.manual_seed(0)
    model = LlavaNextVideoForConditionalGeneration(config)
    enlarge(model, 1.2)
    # Settings of the kind that a language model's makers leave behind, and that must not reach an answer.
    model.generation_config.update(do_sample=True, temperature=0.9, top_p=0.6, eos_token_id=2, pad_token_id=0)
    preprocessor = clip_preprocessor(IMAGE_SIZE) | {"image_grid_pinpoints": PINPOINTS}
    return write(folder, model, tokenizer, preprocessor, TEMPLATE)
