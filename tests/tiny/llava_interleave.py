# SPDX-License-Identifier: Apache-2.0
"""Tiny LLaVA-NeXT-Interleave checkpoints."""

from __future__ import annotations

from pathlib import Path

import torch
from transformers import (
    AddedToken,
    LlavaConfig,
    LlavaForConditionalGeneration,
    PreTrainedTokenizerFast,
    Qwen2Config,
    SiglipVisionConfig,
)

from tiny.parts import LANGUAGE, TOWER, enlarge, keep_answers_readable, siglip_preprocessor, write
from tiny.tokenizers import QWEN_VOCABULARY, qwen_tokenizer

IMAGE_SIZE, PATCH = 56, 14

# As the hub's template: images first, the text on a line of its own.
TEMPLATE = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' }}"
    "{% for part in message['content'] | selectattr('type', 'equalto', 'image') %}{{ '<image>' }}{% endfor %}"
    "{% for part in message['content'] | selectattr('type', 'equalto', 'text') %}"
    "{% if message['role'] != 'assistant' %}{{ '\n' + part['text'] }}"
    "{% else %}{% generation %}{{ '\n' + part['text'] }}{% endgeneration %}{% endif %}{% endfor %}"
    "{{ '<|im_end|>\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)


def tokenizer_with_images() -> PreTrainedTokenizerFast:
    """Qwen's tokenizer as the makers of these checkpoints left it: `<image>` is a token, `<video>` is not."""
    tokenizer = qwen_tokenizer(media_tokens=False)
    tokenizer.add_tokens([AddedToken("<image>", special=True, normalized=False)], special_tokens=True)
    return tokenizer


def make(folder: Path, *, tied: bool = False) -> Path:
    """Write a checkpoint; `tied` as the 0.5B is, whose output weights are its embeddings."""
    tokenizer = tokenizer_with_images()
    vision = SiglipVisionConfig(image_size=IMAGE_SIZE, patch_size=PATCH, vision_use_head=False, **TOWER)
    text = Qwen2Config(vocab_size=QWEN_VOCABULARY, tie_word_embeddings=tied, **LANGUAGE)
    config = LlavaConfig(
        vision_config=vision.to_dict(), text_config=text.to_dict(),
        image_token_index=tokenizer.convert_tokens_to_ids("<image>"),
        vision_feature_layer=-1, vision_feature_select_strategy="full", image_seq_length=(IMAGE_SIZE // PATCH) ** 2,
    )  # fmt: skip
    torch.manual_seed(0)
    model = LlavaForConditionalGeneration(config)
    enlarge(model, 2.0, embeddings=1)
    if not tied:
        keep_answers_readable(model, tokenizer)
    preprocessor = siglip_preprocessor(IMAGE_SIZE) | {"image_processor_type": "SiglipImageProcessor"}
    return write(folder, model, tokenizer, preprocessor, TEMPLATE)
