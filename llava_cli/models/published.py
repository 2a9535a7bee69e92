# SPDX-License-Identifier: Apache-2.0
"""The released checkpoints: a short name for each, and its geometry, known without a download."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

_CLIP_336 = {
    "model_type": "clip_vision_model",
    "hidden_size": 1024,
    "intermediate_size": 4096,
    "num_hidden_layers": 24,
    "num_attention_heads": 16,
    "image_size": 336,
    "patch_size": 14,
    "projection_dim": 768,
}
_CLIP_224 = _CLIP_336 | {"image_size": 224}
SIGLIP_384 = {
    "model_type": "siglip_vision_model",
    "hidden_size": 1152,
    "intermediate_size": 4304,
    "num_hidden_layers": 26,
    "num_attention_heads": 16,
    "image_size": 384,
    "patch_size": 14,
    "vision_use_head": False,
}


def _text(
    model_type: str, hidden: int, intermediate: int, layers: int, heads: int, kv_heads: int, vocab: int, context: int,
    **more: Any,
) -> dict[str, Any]:  # fmt: skip
    return {
        "model_type": model_type,
        "hidden_size": hidden,
        "intermediate_size": intermediate,
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "num_key_value_heads": kv_heads,
        "vocab_size": vocab,
        "max_position_embeddings": context,
        **more,
    }


_VICUNA_7B = _text("llama", 4096, 11008, 32, 32, 32, 32064, 4096, rms_norm_eps=1e-5)
_MISTRAL_7B = _text("mistral", 4096, 14336, 32, 32, 8, 32064, 32768, rope_theta=1e6, sliding_window=None)
_YI_34B = _text("llama", 7168, 20480, 60, 56, 8, 64064, 4096, rope_theta=5e6)
_QWEN15_05B = _text("qwen2", 1024, 2816, 24, 16, 16, 152000, 32768, rope_theta=1e6, tie_word_embeddings=True)
_QWEN15_7B = _text("qwen2", 4096, 11008, 32, 32, 32, 152000, 32768, rope_theta=1e6)
_QWEN2_05B = _text("qwen2", 896, 4864, 24, 14, 2, 152000, 32768, rope_theta=1e6, tie_word_embeddings=True)
_QWEN2_7B = _text("qwen2", 3584, 18944, 28, 28, 4, 152064, 32768, rope_theta=1e6)
_QWEN2_72B = _text("qwen2", 8192, 29568, 80, 64, 8, 152064, 32768, rope_theta=1e6)

# The conversions of LLaVA-OneVision have rows for more words than the language model.
_ONEVISION_WORDS = {"vocab_size": 152128}

_NEXT_PINPOINTS = [[336, 672], [672, 336], [672, 672], [1008, 336], [336, 1008]]
_ANYRES_MAX_9 = [[384 * rows, 384 * columns] for rows in range(1, 7) for columns in range(1, 7)]


def _next_video(text: dict[str, Any], video: int, image: int) -> dict[str, Any]:
    return {
        "model_type": "llava_next_video",
        "video_token_index": video,
        "image_token_index": image,
        "image_grid_pinpoints": _NEXT_PINPOINTS,
        "spatial_pool_mode": "average",
        "spatial_pool_stride": 2,
        "vision_feature_layer": -2,
        "vision_feature_select_strategy": "default",
        "vision_config": _CLIP_336,
        "text_config": text,
    }


_VICUNA_LONG = _VICUNA_7B | {"rope_scaling": {"type": "linear", "factor": 2.5}}
_VIDEO_LLAVA = {
    "model_type": "video_llava",
    "image_token_index": 32000,
    "video_token_index": 32001,
    "vision_feature_layer": -2,
    "vision_feature_select_strategy": "default",
    "vision_config": _CLIP_224,
    "text_config": _VICUNA_7B,
}


def _interleave(text: dict[str, Any]) -> dict[str, Any]:
    return {
        "model_type": "llava",
        "image_token_index": 151646,
        "vision_feature_layer": -1,
        "vision_feature_select_strategy": "full",
        "vision_config": SIGLIP_384,
        "text_config": text,
    }


def _onevision(text: dict[str, Any]) -> dict[str, Any]:
    return {
        "model_type": "llava_onevision",
        "image_token_index": 151646,
        "video_token_index": 151647,
        "image_grid_pinpoints": _ANYRES_MAX_9,
        "vision_aspect_ratio": "anyres_max_9",
        "vision_feature_layer": -1,
        "vision_feature_select_strategy": "full",
        "vision_config": SIGLIP_384,
        "text_config": text,
    }


def _llava_video(text: dict[str, Any]) -> dict[str, Any]:
    """As the original authors' files are laid out: the language model's settings and theirs side by side."""
    return text | {
        "architectures": ["LlavaQwenForCausalLM"],
        "model_type": "llava_qwen",
        "mm_vision_tower": "google/siglip-so400m-patch14-384",
        "mm_hidden_size": 1152,
        "mm_projector_type": "mlp2x_gelu",
        "mm_patch_merge_type": "spatial_unpad",
        "mm_newline_position": "grid",
        "mm_spatial_pool_stride": 2,
        "mm_spatial_pool_mode": "bilinear",
        "image_aspect_ratio": "anyres_max_9",
        "image_grid_pinpoints": _ANYRES_MAX_9,
        "add_time_instruction": True,
        "force_sample": True,
        "image_token_index": 151646,
        "eos_token_id": 151645,
        "tie_word_embeddings": False,
    }


_ONEVISION2_8B = {
    "model_type": "llava_onevision2",
    "image_token_id": 151655,
    "video_token_id": 151656,
    "vision_config": {
        "hidden_size": 1024,
        "intermediate_size": 4096,
        "num_hidden_layers": 24,
        "num_attention_heads": 16,
        "patch_size": 14,
        "spatial_merge_size": 2,
        "out_hidden_size": 4096,
    },
    "text_config": _text("qwen3", 4096, 12288, 36, 32, 8, 151936, 40960, head_dim=128, rope_theta=8e6),
    "tie_word_embeddings": False,
}


@dataclass(frozen=True)
class Published:
    """A released checkpoint."""

    hub_id: str
    licence: str | None
    """As its card on the hub states it, in the hub's spelling; None where that is not known here."""
    gib: tuple[float, float]
    """Memory in 16 and in 4 bit for one video of the default number of frames, as the engine plans it."""
    config: dict[str, Any]
    """What its `config.json` says, as far as it decides size and shape."""
    unconfirmed: str | None = None
    """What its files may say otherwise."""


DEMO_LICENCE, DEMO_GIB = "apache-2.0", (0.9, 0.9)
"""The same of the built-in checkpoint."""

_STRETCHED = "its files may not stretch positions as the 7B's do: the context is 4096 tokens then, and 24 frames"
_FASTER = "its files may ask for add_faster_video, which is not supported: that is told before weights are downloaded"

_UNSEEN = "its files may say another context, and other sizes of pictures"

PUBLISHED: dict[str, Published] = {
    "next-video-7b": Published(
        "llava-hf/LLaVA-NeXT-Video-7B-hf", "llama2", (17.0, 8.4), _next_video(_VICUNA_LONG, 32000, 32001)
    ),
    "next-video-7b-dpo": Published(
        "llava-hf/LLaVA-NeXT-Video-7B-DPO-hf", "llama2", (17.0, 8.4), _next_video(_VICUNA_LONG, 32000, 32001),
        _STRETCHED,
    ),
    "next-video-7b-32k": Published(
        "llava-hf/LLaVA-NeXT-Video-7B-32K-hf", None, (16.2, 6.9), _next_video(_MISTRAL_7B, 32000, 32001)
    ),
    "next-video-34b": Published(
        "llava-hf/LLaVA-NeXT-Video-34B-hf", "llama2", (67.2, 22.4), _next_video(_YI_34B, 64003, 64004)
    ),
    "next-video-34b-dpo": Published(
        "llava-hf/LLaVA-NeXT-Video-34B-DPO-hf", None, (67.2, 22.4), _next_video(_YI_34B, 64003, 64004)
    ),
    "llava-video-7b": Published(
        "lmms-lab/LLaVA-Video-7B-Qwen2", "apache-2.0", (18.6, 9.9), _llava_video(_QWEN2_7B)
    ),
    "llava-video-72b": Published(
        "lmms-lab/LLaVA-Video-72B-Qwen2", None, (144.9, 50.9), _llava_video(_QWEN2_72B), _FASTER
    ),
    "video-llava-7b": Published("LanguageBind/Video-LLaVA-7B-hf", None, (16.0, 7.4), _VIDEO_LLAVA),
    "interleave-0.5b": Published(
        "llava-hf/llava-interleave-qwen-0.5b-hf", "tongyi-qianwen-research", (3.9, 3.5), _interleave(_QWEN15_05B)
    ),
    "interleave-7b": Published(
        "llava-hf/llava-interleave-qwen-7b-hf", "tongyi-qianwen-research", (19.9, 11.3), _interleave(_QWEN15_7B)
    ),
    "interleave-7b-dpo": Published(
        "llava-hf/llava-interleave-qwen-7b-dpo-hf", "tongyi-qianwen-research", (19.9, 11.3), _interleave(_QWEN15_7B)
    ),
    "onevision-0.5b": Published(
        "llava-hf/llava-onevision-qwen2-0.5b-ov-hf", "apache-2.0", (3.5, 3.0), _onevision(_QWEN2_05B)
    ),
    "onevision-7b": Published(
        "llava-hf/llava-onevision-qwen2-7b-ov-hf", "apache-2.0", (17.2, 8.4), _onevision(_QWEN2_7B | _ONEVISION_WORDS)
    ),
    "onevision-72b": Published(
        "llava-hf/llava-onevision-qwen2-72b-ov-hf", "apache-2.0", (140.9, 46.9),
        _onevision(_QWEN2_72B | _ONEVISION_WORDS),
    ),
    "onevision2-8b": Published(
        "lmms-lab-encoder/LLaVA-OneVision-2-8B-Instruct", "apache-2.0", (18.5, 9.2), _ONEVISION2_8B, _UNSEEN
    ),
}  # fmt: skip
