# SPDX-License-Identifier: Apache-2.0
"""Tiny LLaVA-NeXT-Video checkpoints in the hub's file layout, made on the fly and deterministic.

Their weights are random but large, so that what they say changes with every frame, colour and word.
"""

from __future__ import annotations

import json
from pathlib import Path

import torch
from tiny_parts import LANGUAGE, clip_preprocessor, clip_tower, enlarge, write
from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, processors, trainers
from transformers import (
    LlamaConfig,
    LlavaNextVideoConfig,
    LlavaNextVideoForConditionalGeneration,
    PreTrainedTokenizerFast,
)

CORPUS = [
    "USER: \nWhy is this video funny? ASSISTANT: A baby wears glasses and reads a book.",
    "What happens in the video? The circle moves to the right, then it stops. How many shapes are there?",
    "Describe the picture. There are three people in a room. It is red, green and blue. </video> [INST] <|im_start|>",
]
CONTROL = ["<unk>", "<s>", "</s>", "<video>", "<image>", "<pad>", "<|im_start|>", "<|im_end|>"]
IMAGE_SIZE, PATCH = 56, 14
PINPOINTS = [[56, 112], [112, 56], [112, 112], [168, 56], [56, 168]]

# In the form of the hub's template for the 7B: media first, images before videos.
TEMPLATE = (
    "{% for message in messages %}"
    "{% if message['role'] != 'system' %}{{ message['role'].upper() + ': ' }}{% endif %}"
    "{% for part in message['content'] | selectattr('type', 'equalto', 'image') %}{{ '<image>\\n' }}{% endfor %}"
    "{% for part in message['content'] | selectattr('type', 'equalto', 'video') %}{{ '<video>\\n' }}{% endfor %}"
    "{% for part in message['content'] | selectattr('type', 'equalto', 'text') %}{{ part['text'] + ' ' }}{% endfor %}"
    "{% endfor %}{% if add_generation_prompt %}{{ 'ASSISTANT:' }}{% endif %}"
)


def sentencepiece_tokenizer() -> PreTrainedTokenizerFast:
    """A tokenizer with Llama's pipeline: a space before the text, spaces as letters, bytes for the rest."""
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>", byte_fallback=True, fuse_unk=True))
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    tokenizer.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    byte_tokens = [f"<0x{i:02X}>" for i in range(256)]
    trainer = trainers.BpeTrainer(
        vocab_size=520, special_tokens=[*CONTROL, *byte_tokens], show_progress=False, max_token_length=6
    )
    tokenizer.train_from_iterator(CORPUS, trainer)
    # The trainer makes all of them special; the bytes are ordinary vocabulary.
    rebuilt = json.loads(tokenizer.to_str())
    rebuilt["added_tokens"] = [t for t in rebuilt["added_tokens"] if t["content"] in CONTROL]
    tokenizer = Tokenizer.from_str(json.dumps(rebuilt))
    tokenizer.add_special_tokens([AddedToken(text, special=True, normalized=False) for text in CONTROL])
    tokenizer.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 1)])
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token="<s>", eos_token="</s>", unk_token="<unk>", pad_token="<pad>"
    )


def make(folder: Path, *, template: str | None = TEMPLATE, text_config: dict | None = None, seed: int = 0) -> Path:
    """Write a checkpoint; the tokenizer's ids 3 and 4 are the placeholders."""
    tokenizer = sentencepiece_tokenizer()
    text = LANGUAGE | {"vocab_size": len(tokenizer)} | (text_config or {})
    config = LlavaNextVideoConfig(
        vision_config=clip_tower(IMAGE_SIZE, PATCH), text_config=LlamaConfig(**text).to_dict(),
        video_token_index=3, image_token_index=4, image_grid_pinpoints=PINPOINTS,
    )  # fmt: skip
    torch.manual_seed(seed)
    model = LlavaNextVideoForConditionalGeneration(config)
    enlarge(model, 1.2)
    # Settings of the kind that a language model's makers leave behind, and that must not reach an answer.
    model.generation_config.update(do_sample=True, temperature=0.9, top_p=0.6, eos_token_id=2, pad_token_id=0)
    preprocessor = clip_preprocessor(IMAGE_SIZE) | {"image_grid_pinpoints": PINPOINTS}
    return write(folder, model, tokenizer, preprocessor, template)
