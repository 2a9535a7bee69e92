# SPDX-License-Identifier: Apache-2.0
"""Tiny LLaVA-OneVision-2 checkpoints, of which one is that of the numbers in tests/data."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from llava_cli.models.llava_onevision2_config import LlavaOnevision2Config
from llava_cli.models.llava_onevision2_model import LlavaOnevision2ForConditionalGeneration
from tiny.tokenizers import QWEN_WORDS

AUTHORS: dict[str, Any] = {"layers": 3, "seed": 20260}
"""What the numbers in tests/data were made with."""
_MERGES = (
    "h e;r e;Ġ a;Ġ s;Ġ t;i s;n d;c o;e co;h a;Ġ i;Ġs eco;Ġt he;nd s;Ġseco nds;> <;W ha;a n;c t;d e;h o;i ct;i de;p ict;"
    "r i;s s;t an;u re;v ide;Ġ he;Ġ pict;Ġ vide;Ġs ho;is tan;Ġi n;Wha t;ss istan;Ġpict ure;Ġvide o;Ġsho w;ssistan t;"
    "C o;D e;T he"
)
# In the order of the released one's.
_SPECIAL = [
    *("endoftext", "im_start", "im_end", "object_ref_start", "object_ref_end", "box_start", "box_end", "quad_start"),
    *("quad_end", "vision_start", "vision_end", "vision_pad", "image_pad", "video_pad"),
]
_PLAIN = [
    *("<tool_call>", "</tool_call>", "<|fim_prefix|>", "<|fim_middle|>", "<|fim_suffix|>", "<|fim_pad|>"),
    *("<|repo_name|>", "<|file_sep|>", "<tool_response>", "</tool_response>", "<think>", "</think>"),
]
CONFIG = {
    "architectures": ["LlavaOnevision2ForConditionalGeneration"],
    "auto_map": {"AutoModelForCausalLM": "modeling_llava_onevision2.LlavaOnevision2ForConditionalGeneration"},
    "model_type": "llava_onevision2",
    "image_token_id": 312,
    "video_token_id": 313,
    "vision_start_token_id": 309,
    "vision_end_token_id": 310,
    "tie_word_embeddings": False,
    "text_config": {
        "model_type": "qwen3", "hidden_size": 64, "intermediate_size": 128, "num_attention_heads": 4,
        "num_key_value_heads": 2, "head_dim": 16, "vocab_size": 352, "max_position_embeddings": 4096,
        "rope_parameters": {"rope_theta": 8000000.0, "rope_type": "default"}, "bos_token_id": 300, "eos_token_id": 302,
    },
    "vision_config": {
        "model_type": "onevision_encoder", "hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 3,
        "num_attention_heads": 2, "patch_size": 14, "spatial_merge_size": 2, "temporal_patch_size": 1,
        "image_size": 448, "out_hidden_size": 64, "layer_norm_eps": 1e-6, "layer_norm_type": "layer_norm",
        "hidden_act": "gelu", "rope_theta": 10000.0, "frame_windows_size": 4, "use_head": False,
    },
}  # fmt: skip
PREPROCESSOR = {
    "image_processor_type": "Qwen2VLImageProcessor", "do_convert_rgb": True, "do_resize": True, "resample": 3,
    "min_pixels": 6272, "max_pixels": 31360, "size": {"longest_edge": 12845056, "shortest_edge": 3136},
    "patch_size": 14, "merge_size": 2, "temporal_patch_size": 1, "rescale_factor": 1 / 255,
    "image_mean": [0.48145466, 0.4578275, 0.40821073], "image_std": [0.26862954, 0.26130258, 0.27577711],
}  # fmt: skip
# As the released one's, which is Qwen2-VL's.
TEMPLATE = (
    "{% for message in messages %}{% if loop.first and message['role'] != 'system' %}"
    "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n{% endif %}<|im_start|>{{ message['role'] }}\n"
    "{% if message['content'] is string %}{{ message['content'] }}{% else %}{% for part in message['content'] %}"
    "{% if part['type'] == 'image' %}<|vision_start|><|image_pad|><|vision_end|>"
    "{% elif part['type'] == 'video' %}<|vision_start|><|video_pad|><|vision_end|>"
    "{% else %}{{ part['text'] }}{% endif %}{% endfor %}{% endif %}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def make(folder: Path, *, layers: int = 2, seed: int = 0) -> Path:
    """Write a checkpoint whose language model has so many layers."""
    tokenizer = _tokenizer()
    tokenizer.save_pretrained(folder)
    text = CONFIG["text_config"] | {"num_hidden_layers": layers}  # type: ignore[operator]
    files = {
        "config.json": CONFIG | {"text_config": text},
        "preprocessor_config.json": PREPROCESSOR,
        "video_preprocessor_config.json": {"max_frames": 768},
        # Settings of the kind that a language model's makers leave behind.
        "generation_config.json": {"do_sample": True, "temperature": 0.6, "top_p": 0.95, "eos_token_id": [302, 300]},
        "chat_template.json": {"chat_template": TEMPLATE},
    }
    for name, content in files.items():
        (folder / name).write_text(json.dumps(content))
    config = LlavaOnevision2Config.from_dict(CONFIG | {"text_config": text})
    save_file(_weights(config, tokenizer, seed), folder / "model.safetensors", {"format": "pt"})
    return folder


def _weights(config: LlavaOnevision2Config, tokenizer: PreTrainedTokenizerFast, seed: int) -> dict[str, torch.Tensor]:
    """Drawn one by one in the order of their names, so large that every input counts, but for the patches' own."""
    with torch.device("meta"):
        shapes = {
            name: weight.shape for name, weight in LlavaOnevision2ForConditionalGeneration(config).named_parameters()
        }
    generator = torch.Generator().manual_seed(seed)
    weights = {name: _weight(name, torch.randn(shapes[name], generator=generator)) for name in sorted(shapes)}
    texts = tokenizer.batch_decode([[number] for number in range(300)])
    readable = [text.isascii() and text.isprintable() for text in texts] + [False] * 52
    weights["lm_head.weight"] *= torch.tensor(readable)[:, None]
    return weights


def _weight(name: str, drawn: torch.Tensor) -> torch.Tensor:
    special = {"lm_head.weight": 0.35, "embed_tokens.weight": 0.02, "patch_embedding.weight": 0.001}
    for end, scale in special.items():
        if name.endswith(end):
            return drawn * scale
    if drawn.ndim == 1 and ("norm" in name or "ln_q" in name):
        return name.endswith("weight") + 0.3 * drawn
    if "merger.mlp.2" in name:  # features as small as words' embeddings
        return drawn * 0.012 if drawn.ndim == 1 else drawn * 0.06 / drawn.shape[1] ** 0.5
    if drawn.ndim == 1:
        return drawn * 0.2
    sharper = 1.6 if name.endswith(("q_proj.weight", "k_proj.weight", "qkv.weight")) else 1
    return drawn * sharper / drawn.shape[1] ** 0.5


def _tokenizer() -> PreTrainedTokenizerFast:
    """Qwen's, with 300 entries before its control tokens."""
    merges = [tuple(pair.split(" ")) for pair in _MERGES.split(";")]
    words = [*sorted(pre_tokenizers.ByteLevel.alphabet()), *map("".join, merges)]
    tokenizer = Tokenizer(models.BPE({word: number for number, word in enumerate(words)}, merges))
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(QWEN_WORDS), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([AddedToken(f"<|{name}|>", special=True, normalized=False) for name in _SPECIAL])
    tokenizer.add_tokens([AddedToken(text, special=False, normalized=False) for text in _PLAIN])
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="<|im_end|>", pad_token="<|endoftext|>")
