# SPDX-License-Identifier: Apache-2.0
"""Tiny LLaVA-OneVision and LLaVA-Video checkpoints in the hub's file layout, made on the fly and deterministic.

Their weights are random but large, so that what they say changes with every frame, colour and word.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from tiny_parts import LANGUAGE, TOWER, enlarge, keep_answers_readable, siglip_preprocessor, write
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
from transformers import (
    LlavaOnevisionConfig,
    LlavaOnevisionForConditionalGeneration,
    PreTrainedTokenizerFast,
)

CORPUS = [
    "<|im_start|>system\nYou are a helpful assistant.\nuser\nWhy is this video funny?\nassistant\nA baby wears glasses",
    "The video lasts for 9.72 seconds, and 64 frames are uniformly sampled from it. These frames are located at 0.00s.",
    "What happens in the video? Describe the picture. How many shapes are there? It is red, green and blue.",
]
# As the language model's own, in its order; then what the makers of multimodal checkpoints added.
CONTROL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
MEDIA = ["<image>", "<video>"]
VOCABULARY = 320
"""Size of the tokenizer with all control tokens."""
_WORDS = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)

IMAGE_SIZE, PATCH = 70, 14
# An odd number of patches along an edge, as the released checkpoints have.
VISION = TOWER | {
    "model_type": "siglip_vision_model", "num_hidden_layers": 2, "image_size": IMAGE_SIZE, "patch_size": PATCH,
    "vision_use_head": False,
}  # fmt: skip
TEXT = LANGUAGE | {
    "vocab_size": VOCABULARY, "max_position_embeddings": 4096, "rms_norm_eps": 1e-6, "rope_theta": 1000000.0,
    "tie_word_embeddings": False,
}  # fmt: skip
PINPOINTS = [[IMAGE_SIZE * rows, IMAGE_SIZE * columns] for rows in range(1, 7) for columns in range(1, 7)]

# In the form of the hub's template for LLaVA-OneVision: images, videos, then the text on a line of its own.
TEMPLATE = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + ' ' }}"
    "{% for part in message['content'] | selectattr('type', 'equalto', 'image') %}{{ '<image>' }}{% endfor %}"
    "{% for part in message['content'] | selectattr('type', 'equalto', 'video') %}{{ '<video>' }}{% endfor %}"
    "{% for part in message['content'] | selectattr('type', 'equalto', 'text') %}{{ '\\n' + part['text'] }}{% endfor %}"
    "{{ '<|im_end|>' }}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
)
# A language model's own, as the original authors' checkpoints bring along: it knows no media.
TEXT_TEMPLATE = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>\\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
)


def qwen_tokenizer(media_tokens: bool = True) -> PreTrainedTokenizerFast:
    """A tokenizer with Qwen2's pipeline: bytes as letters, no first token; control tokens after the vocabulary.

    Args:
        media_tokens: whether `<image>` and `<video>` are tokens; in the original authors' checkpoints they are not.
    """
    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(_WORDS), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY - len(CONTROL + MEDIA),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(CORPUS, trainer)
    control = CONTROL + MEDIA if media_tokens else CONTROL
    tokenizer.add_special_tokens([AddedToken(text, special=True, normalized=False) for text in control])
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="<|im_end|>", pad_token="<|endoftext|>")


def make_onevision(folder: Path, *, template: str | None = TEMPLATE, tied: bool = False) -> Path:
    """Write a LLaVA-OneVision checkpoint, its weights under the released files' names.

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
    write(folder, model, tokenizer, siglip_preprocessor(IMAGE_SIZE) | {"image_grid_pinpoints": PINPOINTS}, template)
    weights = load_file(folder / "model.safetensors")
    renamed = {name.replace("vision_tower.", "vision_tower.vision_model."): w for name, w in weights.items()}
    assert {"image_newline", "language_model.model.norm.weight"} <= set(renamed)
    assert tied != ("language_model.lm_head.weight" in renamed)
    save_file(renamed, folder / "model.safetensors", {"format": "pt"})
    return folder


def original_config(**settings: Any) -> dict[str, Any]:
    """The config.json of a LLaVA-Video checkpoint in the original authors' layout."""
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


def make_llava_video(folder: Path, weights: dict[str, torch.Tensor] | None = None, **settings: Any) -> Path:
    """Write a LLaVA-Video checkpoint in the original authors' layout: no preprocessor, no media tokens, their names."""
    tokenizer = qwen_tokenizer(media_tokens=False)
    tokenizer.chat_template = TEXT_TEMPLATE
    tokenizer.save_pretrained(folder)
    (folder / "config.json").write_text(json.dumps(original_config(**settings)))
    save_file(weights or _original_weights(), folder / "model.safetensors", {"format": "pt"})
    return folder


def _original_weights() -> dict[str, torch.Tensor]:
    torch.manual_seed(0)
    model = LlavaOnevisionForConditionalGeneration(
        LlavaOnevisionConfig(vision_config=VISION, text_config=TEXT | {"model_type": "qwen2"})
    )
    enlarge(model, 2)
    keep_answers_readable(model, qwen_tokenizer())
    renamed = {}
    for name, weight in model.state_dict().items():
        name = name.replace("model.vision_tower.", "model.vision_tower.vision_tower.vision_model.")
        name = name.replace("model.multi_modal_projector.linear_1.", "model.mm_projector.0.")
        name = name.replace("model.multi_modal_projector.linear_2.", "model.mm_projector.2.")
        renamed[re.sub(r"^model\.language_model\.", "model.", name)] = weight
    return renamed
