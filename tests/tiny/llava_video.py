# SPDX-License-Identifier: Apache-2.0
"""Tiny LLaVA-Video checkpoints in the original authors' layout."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from transformers import LlavaOnevisionConfig, LlavaOnevisionForConditionalGeneration

from tiny.llava_onevision import PINPOINTS, TEXT, VISION
from tiny.parts import enlarge, keep_answers_readable
from tiny.tokenizers import qwen_tokenizer

# A language model's own, as the original authors' checkpoints bring along: it knows no media.
TEXT_TEMPLATE = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>\\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
)


def original_config(**settings: Any) -> dict[str, Any]:
    """The config.json of a checkpoint in the original authors' layout."""
    return {
        "architectures": ["LlavaQwenForCausalLM"],
        "model_type": "llava",
        **TEXT,
        "bos_token_id": 315,
        "eos_token_id": 317,
        "add_faster_video": False,
        "add_time_instruction": True,
        "force_sample": True,
        "image_aspect_ratio": "anyres_max_9",
        "image_grid_pinpoints": PINPOINTS,
        "image_token_index": 151646,
        "mm_hidden_size": 32,
        "mm_newline_position": "grid",
        "mm_patch_merge_type": "spatial_unpad",
        "mm_projector_type": "mlp2x_gelu",
        "mm_resampler_type": None,
        "mm_spatial_pool_mode": "bilinear",
        "mm_spatial_pool_stride": None,
        "mm_vision_select_feature": "patch",
        "mm_vision_select_layer": -2,
        "mm_vision_tower": "google/siglip-so400m-patch14-384",
        "vision_config": VISION,
    } | settings


def first_onevision_config(**settings: Any) -> dict[str, Any]:
    """The config.json of the authors' own LLaVA-OneVision, which came before some of the settings."""
    later = ("add_faster_video", "add_time_instruction", "force_sample", "mm_spatial_pool_stride")
    config = original_config(mm_newline_position="one_token", **settings)
    return {key: value for key, value in config.items() if key not in later}


def make(
    folder: Path, weights: dict[str, torch.Tensor] | None = None, *, onevision: bool = False, **settings: Any
) -> Path:
    """Write a checkpoint: no preprocessor, no media tokens, the authors' names of weights.

    Args:
        onevision: as the authors' own LLaVA-OneVision.
    """
    tokenizer = qwen_tokenizer(media_tokens=False)
    tokenizer.chat_template = TEXT_TEMPLATE
    tokenizer.save_pretrained(folder)
    config = (first_onevision_config if onevision else original_config)(**settings)
    (folder / "config.json").write_text(json.dumps(config))
    save_file(
        weights or _original_weights(config["tie_word_embeddings"]), folder / "model.safetensors", {"format": "pt"}
    )
    return folder


def _original_weights(tied: bool) -> dict[str, torch.Tensor]:
    torch.manual_seed(0)
    text = TEXT | {"model_type": "qwen2", "tie_word_embeddings": tied}
    model = LlavaOnevisionForConditionalGeneration(LlavaOnevisionConfig(vision_config=VISION, text_config=text))
    enlarge(model, 2)
    keep_answers_readable(model, qwen_tokenizer())
    renamed = {}
    for name, weight in model.state_dict().items():
        name = name.replace("model.vision_tower.", "model.vision_tower.vision_tower.vision_model.")
        name = name.replace("model.multi_modal_projector.linear_1.", "model.mm_projector.0.")
        name = name.replace("model.multi_modal_projector.linear_2.", "model.mm_projector.2.")
        renamed[re.sub(r"^model\.language_model\.", "model.", name)] = weight
    if tied:
        del renamed["lm_head.weight"]
    return renamed
