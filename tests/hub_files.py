# SPDX-License-Identifier: Apache-2.0
"""The released checkpoints' small files, as well as they are known, beside a tiny tokenizer. No weights.

Written as transformers' conversion scripts of their time write them (4.41 to 4.45): what equals the default of a class
is left out, except that the language models of LLaVA-NeXT-Video, read from the hub at the time, say everything.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tiny.tokenizers import llama_tokenizer, qwen_tokenizer

# The form of a file, and what it holds.
Files = dict[str, dict[str, Any]]

ANYRES_MAX_9 = [[384 * rows, 384 * columns] for rows in range(1, 7) for columns in range(1, 7)]
NEXT_PINPOINTS = [[336, 672], [672, 336], [672, 672], [1008, 336], [336, 1008]]
CLIP_PIXELS = {"image_mean": [0.48145466, 0.4578275, 0.40821073], "image_std": [0.26862954, 0.26130258, 0.27577711]}
SIGLIP_PIXELS = {"image_mean": [0.5] * 3, "image_std": [0.5] * 3, "size": {"height": 384, "width": 384}}
PIXELS = {"do_normalize": True, "do_rescale": True, "do_resize": True, "resample": 3, "rescale_factor": 1 / 255}

SIGLIP = {
    "hidden_size": 1152, "image_size": 384, "intermediate_size": 4304, "model_type": "siglip_vision_model",
    "num_attention_heads": 16, "num_hidden_layers": 26, "patch_size": 14, "vision_use_head": False,
}  # fmt: skip
# Says no image_size where it is the class's default, 224.
CLIP = {
    "hidden_size": 1024, "intermediate_size": 4096, "model_type": "clip_vision_model", "num_attention_heads": 16,
    "num_hidden_layers": 24, "patch_size": 14, "projection_dim": 768, "vocab_size": 32000,
}  # fmt: skip
# What a class of that time wrote beside its own settings.
OF_ANY_MODEL = {
    "_name_or_path": "", "add_cross_attention": False, "architectures": None, "bad_words_ids": None, "do_sample": False,
    "early_stopping": False, "id2label": {"0": "LABEL_0", "1": "LABEL_1"}, "is_decoder": False, "length_penalty": 1.0,
    "max_length": 20, "num_beams": 1, "output_attentions": False, "prefix": None, "pruned_heads": {},
    "temperature": 1.0, "tokenizer_class": None, "top_k": 50, "top_p": 1.0, "torch_dtype": None, "torchscript": False,
    "use_bfloat16": False,
}  # fmt: skip
LLAMA = OF_ANY_MODEL | {
    "architectures": ["LlamaForCausalLM"], "attention_bias": False, "attention_dropout": 0.0, "bos_token_id": 1,
    "eos_token_id": 2, "hidden_act": "silu", "max_position_embeddings": 4096, "mlp_bias": False, "model_type": "llama",
    "pretraining_tp": 1, "rms_norm_eps": 1e-05, "rope_scaling": None, "rope_theta": 10000.0,
    "tie_word_embeddings": False, "use_cache": True, "vocab_size": 32064,
}  # fmt: skip
VICUNA_7B = LLAMA | {
    "hidden_size": 4096, "intermediate_size": 11008, "num_attention_heads": 32, "num_hidden_layers": 32,
    "num_key_value_heads": 32, "type": "linear",
}  # fmt: skip
MISTRAL_7B = VICUNA_7B | {
    "architectures": ["MistralForCausalLM"], "intermediate_size": 14336, "max_position_embeddings": 32768,
    "model_type": "mistral", "num_key_value_heads": 8, "rope_theta": 1000000.0, "sliding_window": None,
}  # fmt: skip
YI_34B = LLAMA | {
    "eos_token_id": 7, "hidden_size": 7168, "intermediate_size": 20480, "num_attention_heads": 56,
    "num_hidden_layers": 60, "num_key_value_heads": 8, "rope_theta": 5000000.0, "use_cache": False, "vocab_size": 64064,
}  # fmt: skip
# Says no max_position_embeddings, which are the class's default, 32768.
QWEN2 = {
    "architectures": ["Qwen2ForCausalLM"], "bos_token_id": 151643, "eos_token_id": 151645, "model_type": "qwen2",
    "rope_theta": 1000000.0, "torch_dtype": "bfloat16",
}  # fmt: skip
QWEN2_7B = {
    "hidden_size": 3584, "intermediate_size": 18944, "num_attention_heads": 28, "num_hidden_layers": 28,
    "num_key_value_heads": 4,
}  # fmt: skip
QWEN2_05B = {
    "hidden_size": 896, "intermediate_size": 4864, "max_window_layers": 24, "num_attention_heads": 14,
    "num_hidden_layers": 24, "num_key_value_heads": 2, "tie_word_embeddings": True,
}  # fmt: skip
QWEN2_72B = {
    "hidden_size": 8192, "intermediate_size": 29568, "max_window_layers": 80, "num_attention_heads": 64,
    "num_hidden_layers": 80, "num_key_value_heads": 8,
}  # fmt: skip
QWEN15 = QWEN2 | {
    "max_position_embeddings": 32768, "sliding_window": 32768, "use_sliding_window": False, "vocab_size": 152000,
}  # fmt: skip

VICUNA_TEMPLATE = (
    "{% for message in messages %}"
    "{% if message['role'] != 'system' %}{{ message['role'].upper() + ': '}}{% endif %}"
    "{% for content in message['content'] | selectattr('type', 'equalto', 'image') %}{{ '<image>\n' }}{% endfor %}"
    "{% for content in message['content'] | selectattr('type', 'equalto', 'video') %}{{ '<video>\n' }}{% endfor %}"
    "{% for content in message['content'] | selectattr('type', 'equalto', 'text') %}{{ content['text'] + ' '}}"
    "{% endfor %}{% endfor %}{% if add_generation_prompt %}{{ 'ASSISTANT:' }}{% endif %}"
)
ONEVISION_TEMPLATE = (
    "{% for message in messages %}{{'<|im_start|>' + message['role'] + ' '}}"
    "{% for content in message['content'] | selectattr('type', 'equalto', 'image') %}{{ '<image>' }}{% endfor %}"
    "{% for content in message['content'] | selectattr('type', 'equalto', 'video') %}{{ '<video>' }}{% endfor %}"
    "{% for content in message['content'] | selectattr('type', 'equalto', 'text') %}{{ '\n' + content['text'] }}"
    "{% endfor %}{{'<|im_end|>'}}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)


def _next_video(text: dict[str, Any], video: int = 32000, image: int = 32001, template: str | None = None) -> Files:
    config = {
        "architectures": ["LlavaNextVideoForConditionalGeneration"], "ignore_index": -100,
        "image_grid_pinpoints": NEXT_PINPOINTS, "image_token_index": image, "model_type": "llava_next_video",
        "projector_hidden_act": "gelu", "spatial_pool_mode": "average", "spatial_pool_stride": 2, "text_config": text,
        "tie_word_embeddings": False, "torch_dtype": "bfloat16", "use_image_newline_parameter": True,
        "video_token_index": video, "vision_config": OF_ANY_MODEL | CLIP | {"image_size": 336},
        "vision_feature_layer": -2, "vision_feature_select_strategy": "default",
    }  # fmt: skip
    preprocessor = PIXELS | CLIP_PIXELS | {
        "crop_size": {"height": 336, "width": 336}, "do_center_crop": True, "image_grid_pinpoints": NEXT_PINPOINTS,
        "image_processor_type": "LlavaNextVideoImageProcessor", "size": {"shortest_edge": 336},
    }  # fmt: skip
    files = {"config.json": config, "preprocessor_config.json": preprocessor}
    return files | ({"chat_template.json": {"chat_template": template}} if template else {})


def _onevision(text: dict[str, Any]) -> Files:
    config = {
        "architectures": ["LlavaOnevisionForConditionalGeneration"], "image_grid_pinpoints": ANYRES_MAX_9,
        "image_token_index": 151646, "model_type": "llava_onevision", "projector_hidden_act": "gelu",
        "text_config": QWEN2 | text, "tie_word_embeddings": False, "torch_dtype": "float16",
        "use_image_newline_parameter": True, "video_token_index": 151647, "vision_aspect_ratio": "anyres_max_9",
        "vision_config": SIGLIP, "vision_feature_layer": -1, "vision_feature_select_strategy": "full",
    }  # fmt: skip
    images = PIXELS | SIGLIP_PIXELS | {
        "do_pad": True, "image_grid_pinpoints": ANYRES_MAX_9, "image_processor_type": "LlavaOnevisionImageProcessor",
    }  # fmt: skip
    return {
        "config.json": config,
        "preprocessor_config.json": images,
        "video_preprocessor_config.json": PIXELS
        | SIGLIP_PIXELS
        | {"video_processor_type": "LlavaOnevisionVideoProcessor"},
        "processor_config.json": {"num_image_tokens": 729, "vision_aspect_ratio": "anyres_max_9"},
        "chat_template.json": {"chat_template": ONEVISION_TEMPLATE},
    }


def _interleave(text: dict[str, Any]) -> Files:
    config = {
        "architectures": ["LlavaForConditionalGeneration"], "ignore_index": -100, "image_token_index": 151646,
        "model_type": "llava", "projector_hidden_act": "gelu", "text_config": QWEN15 | text, "torch_dtype": "float16",
        "vision_config": SIGLIP | {"hidden_act": "gelu_pytorch_tanh", "layer_norm_eps": 1e-06},
        "vision_feature_layer": -1, "vision_feature_select_strategy": "full",
    }  # fmt: skip
    return {
        "config.json": config,
        "preprocessor_config.json": PIXELS | SIGLIP_PIXELS | {"image_processor_type": "SiglipImageProcessor"},
    }


def _original(text: dict[str, Any], **settings: Any) -> Files:
    config = {
        "_name_or_path": "lmms-lab/llava-onevision-qwen2-7b-si", "architectures": ["LlavaQwenForCausalLM"],
        "mm_newline_position": "grid", "attention_dropout": 0.0, "bos_token_id": 151643, "eos_token_id": 151645,
        "hidden_act": "silu", "image_token_index": 151646, "image_aspect_ratio": "anyres_max_9",
        "image_crop_resolution": None, "image_grid_pinpoints": ANYRES_MAX_9, "image_split_resolution": None,
        "initializer_range": 0.02, "max_position_embeddings": 32768, "max_window_layers": 28, "mm_hidden_size": 1152,
        "mm_patch_merge_type": "spatial_unpad", "mm_projector_lr": None, "mm_projector_type": "mlp2x_gelu",
        "mm_resampler_type": None, "mm_spatial_pool_mode": "bilinear",
        "mm_tunable_parts": "mm_vision_tower,mm_mlp_adapter,mm_language_model", "mm_use_im_patch_token": False,
        "mm_use_im_start_end": False, "mm_vision_select_feature": "patch", "mm_vision_select_layer": -2,
        "mm_vision_tower": "google/siglip-so400m-patch14-384", "mm_vision_tower_lr": 2e-06, "model_type": "llava",
        "pos_skipping_range": 4096, "rms_norm_eps": 1e-06, "rope_scaling": None, "rope_theta": 1000000.0,
        "sliding_window": 131072, "tie_word_embeddings": False, "tokenizer_model_max_length": 32768,
        "tokenizer_padding_side": "right", "torch_dtype": "bfloat16", "use_cache": True, "use_mm_proj": True,
        "use_pos_skipping": False, "use_sliding_window": False, "vision_tower_pretrained": None, "vocab_size": 152064,
    }  # fmt: skip
    said = config | text | settings
    return {"config.json": {key: value for key, value in said.items() if value != "unsaid"}}


_VIDEO = {
    "add_faster_video": False, "faster_token_stride": 10, "add_time_instruction": True, "force_sample": True,
    "mm_spatial_pool_stride": 2,
}  # fmt: skip
_WORDS = {"vocab_size": 152128}

FILES: dict[str, Files] = {
    "next-video-7b": _next_video(
        VICUNA_7B | {"rope_scaling": {"factor": 2.5, "type": "linear"}}, template=VICUNA_TEMPLATE
    ),
    "next-video-7b-dpo-as-converted": _next_video(VICUNA_7B | {"factor": 2.0}),
    "next-video-7b-32k": _next_video(MISTRAL_7B),
    "next-video-34b": _next_video(YI_34B, 64000, 64001),
    "next-video-7b-qwen2": {
        "config.json": {
            "architectures": ["LlavaNextVideo2ForConditionalGeneration"], "image_grid_pinpoints": ANYRES_MAX_9,
            "image_token_index": 151646, "model_type": "llava_next_video", "projector_hidden_act": "gelu",
            "spatial_pool_mode": "average", "text_config": QWEN2 | QWEN2_7B | _WORDS, "torch_dtype": "bfloat16",
            "use_image_newline_parameter": True, "video_token_index": 151647, "vision_config": SIGLIP,
            "vision_feature_layer": -1, "vision_feature_select_strategy": "full",
        },
        "preprocessor_config.json": PIXELS | SIGLIP_PIXELS,
    },
    "video-llava-7b": {
        "config.json": {
            "architectures": ["VideoLlavaForConditionalGeneration"], "ignore_index": -100, "image_token_index": 32000,
            "model_type": "video_llava", "pad_token_id": 32002, "projector_hidden_act": "gelu",
            "text_config": {
                "_name_or_path": "lmsys/vicuna-7b-v1.5", "max_length": 4096, "max_position_embeddings": 4096,
                "model_type": "llama", "pad_token_id": 0, "rms_norm_eps": 1e-05, "vocab_size": 32064,
            },
            "torch_dtype": "float16", "video_token_index": 32001, "vision_config": CLIP, "vision_feature_layer": -2,
            "vision_feature_select_strategy": "default",
        },
        "preprocessor_config.json": PIXELS | CLIP_PIXELS | {
            "crop_size": {"height": 224, "width": 224}, "do_center_crop": True, "size": {"shortest_edge": 224},
            "image_processor_type": "VideoLlavaImageProcessor",
        },
        "processor_config.json": {"patch_size": 14, "num_additional_image_tokens": 1},
    },
    "interleave-0.5b": _interleave({
        "hidden_size": 1024, "intermediate_size": 2816, "max_window_layers": 21, "num_attention_heads": 16,
        "num_hidden_layers": 24, "num_key_value_heads": 16, "tie_word_embeddings": True,
    }),
    "interleave-7b": _interleave({"intermediate_size": 11008}),
    "onevision-0.5b": _onevision(QWEN2_05B | {"vocab_size": 152000}),
    "onevision-7b": _onevision(QWEN2_7B | _WORDS),
    "onevision-72b": _onevision(QWEN2_72B | _WORDS),
    "llava-video-7b": _original(QWEN2_7B, **_VIDEO),
    "llava-video-7b-sparse": _original(
        QWEN2_7B, **_VIDEO | {"mm_spatial_pool_mode": "unsaid", "add_time_instruction": "unsaid"}
    ),
    "llava-video-72b": _original(QWEN2_72B, **_VIDEO),
    "llava-video-72b-if-faster": _original(QWEN2_72B, **_VIDEO | {"add_faster_video": True}),
    "llava-video-converted": {
        "config.json": _onevision(QWEN2_7B | _WORDS)["config.json"]
        | {"mm_newline_position": "grid", "mm_spatial_pool_mode": "bilinear"},
    },
    "lmms-onevision-7b-ov": _original(QWEN2_7B, mm_newline_position="one_token"),
    "lmms-onevision-0.5b-ov": _original(
        QWEN2_05B, mm_newline_position="one_token", tie_word_embeddings=True, vocab_size=151936
    ),
}  # fmt: skip


def write(name: str, folder: Path) -> Path:
    """Write a checkpoint's small files into a folder, and a tokenizer of the kind of its language model's."""
    files = FILES[name]
    for filename, content in files.items():
        (folder / filename).write_text(json.dumps(content))
    text = files["config.json"].get("text_config", QWEN2)
    tokenizer = qwen_tokenizer() if text["model_type"] == "qwen2" else llama_tokenizer()
    tokenizer.backend_tokenizer.save(str(folder / "tokenizer.json"))
    (folder / "tokenizer_config.json").write_text(
        json.dumps({"eos_token": tokenizer.eos_token, "bos_token": tokenizer.bos_token, "padding_side": "left"})
    )
    return folder
