# SPDX-License-Identifier: Apache-2.0
"""Tiny LLaVA-OneVision checkpoints."""

from __future__ import annotations

from pathlib import Path

import torch
from transformers import LlavaOnevisionConfig, LlavaOnevisionForConditionalGeneration

from tiny.parts import LANGUAGE, TOWER, enlarge, keep_answers_readable, siglip_preprocessor, write
from tiny.tokenizers import QWEN_VOCABULARY, qwen_tokenizer

IMAGE_SIZE, PATCH = 70, 14
# An odd number of patches along an edge, as the released checkpoints have.
VISION = TOWER | {
    "model_type": "siglip_vision_model", "num_hidden_layers": 2, "image_size": IMAGE_SIZE, "patch_size": PATCH,
    "vision_use_head": False,
}  # fmt: skip
TEXT = LANGUAGE | {
    "vocab_size": QWEN_VOCABULARY, "max_position_embeddings": 4096, "rms_norm_eps": 1e-6, "rope_theta": 1000000.0,
    "tie_word_embeddings": False,
}  # fmt: skip
PINPOINTS = [[IMAGE_SIZE * rows, IMAGE_SIZE * columns] for rows in range(1, 7) for columns in range(1, 7)]

# As the hub's template for LLaVA-OneVision: images, videos, then the text on a line of its own.
TEMPLATE = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + ' ' }}"
    "{% for part in message['content'] | selectattr('type', 'equalto', 'image') %}{{ '<image>' }}{% endfor %}"
    "{% for part in message['content'] | selectattr('type', 'equalto', 'video') %}{{ '<video>' }}{% endfor %}"
    "{% for part in message['content'] | selectattr('type', 'equalto', 'text') %}"
    "{% if message['role'] != 'assistant' %}{{ '\\n' + part['text'] }}"
    "{% else %}{% generation %}{{ '\\n' + part['text'] }}{% endgeneration %}{% endif %}{% endfor %}"
    "{{ '<|im_end|>' }}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
)


def make(folder: Path, *, tied: bool = False) -> Path:
    """Write a checkpoint.

    Args:
        tied: as in the 0.5B, whose output weights are its embeddings.
    """
    tokenizer = qwen_tokenizer()
    config = LlavaOnevisionConfig(
        vision_config=VISION, text_config=TEXT | {"model_type": "qwen2", "tie_word_embeddings": tied},
        image_grid_pinpoints=PINPOINTS,
        image_token_index=tokenizer.convert_tokens_to_ids("<image>"),
        video_token_index=tokenizer.convert_tokens_to_ids("<video>"),
    )  # fmt: skip
    torch.manual_seed(0)
    model = LlavaOnevisionForConditionalGeneration(config)
    enlarge(model, 2)
    keep_answers_readable(model, tokenizer)
    # Settings of the kind that a language model's makers leave behind.
    model.generation_config.update(do_sample=True, temperature=0.7, top_k=20)
    preprocessor = siglip_preprocessor(IMAGE_SIZE) | {"image_grid_pinpoints": PINPOINTS}
    return write(folder, model, tokenizer, preprocessor, TEMPLATE)
