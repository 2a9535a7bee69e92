# SPDX-License-Identifier: Apache-2.0
"""Tiny LLaVA-NeXT-Interleave checkpoints in the hub's file layout, made on the fly and deterministic."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from tiny_qwen import VOCABULARY, qwen_tokenizer
from tiny_video_llava import enlarge, keep_answers_readable
from transformers import (
    AddedToken,
    LlavaConfig,
    LlavaForConditionalGeneration,
    PreTrainedTokenizerFast,
    Qwen2Config,
    SiglipVisionConfig,
)

IMAGE_SIZE, PATCH = 56, 14

# In the form of the hub's template: images first, the text on a line of its own.
TEMPLATE = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' }}"
    "{% for part in message['content'] | selectattr('type', 'equalto', 'image') %}{{ '<image>' }}{% endfor %}"
    "{% for part in message['content'] | selectattr('type', 'equalto', 'text') %}{{ '\n' + part['text'] }}{% endfor %}"
    "{{ '<|im_end|>\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)


def tokenizer_with_images() -> PreTrainedTokenizerFast:
    """Qwen's tokenizer as the makers of these checkpoints left it: `<image>` is a token, `<video>` is not."""
    tokenizer = qwen_tokenizer(media_tokens=False)
    tokenizer.add_tokens([AddedToken("<image>", special=True, normalized=False)], special_tokens=True)
    return tokenizer


def make(folder: Path, *, template: str | None = TEMPLATE, tied: bool = False) -> Path:
    """Write a checkpoint; `tied` as the 0.5B is, whose output weights are its embeddings."""
    tokenizer = tokenizer_with_images()
    tokenizer.save_pretrained(folder)
    if template is not None:
        (folder / "chat_template.json").write_text(json.dumps({"chat_template": template}))
    config = LlavaConfig(
        vision_config=SiglipVisionConfig(
            hidden_size=32, intermediate_size=64, num_hidden_layers=3, num_attention_heads=2,
            image_size=IMAGE_SIZE, patch_size=PATCH, vision_use_head=False,
        ).to_dict(),
        text_config=Qwen2Config(
            hidden_size=64, intermediate_size=128, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2,
            vocab_size=VOCABULARY, max_position_embeddings=2048, tie_word_embeddings=tied,
        ).to_dict(),
        image_token_index=tokenizer.convert_tokens_to_ids("<image>"),
        vision_feature_layer=-1, vision_feature_select_strategy="full", image_seq_length=(IMAGE_SIZE // PATCH) ** 2,
    )  # fmt: skip
    torch.manual_seed(0)
    model = LlavaForConditionalGeneration(config)
    enlarge(model, 2.0)
    if not tied:
        keep_answers_readable(model, tokenizer)
    model.save_pretrained(folder)
    preprocessor = {
        "image_processor_type": "SiglipImageProcessor",
        "image_mean": [0.5, 0.5, 0.5],
        "image_std": [0.5, 0.5, 0.5],
        "size": {"height": IMAGE_SIZE, "width": IMAGE_SIZE},
        "resample": 3,
    }
    (folder / "preprocessor_config.json").write_text(json.dumps(preprocessor))
    return folder
