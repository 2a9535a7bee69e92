# SPDX-License-Identifier: Apache-2.0
"""Which settings of a config.json reach the library's classes, and what they may be.

Much of what these classes understand has nothing to do with answering: names of kernels to be fetched, of code, of
other files; tables as long as a number says. So only what a family of this program is made of passes, each in its
range, and the rest is as if it were not there.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from llava_cli.errors import ModelError
from llava_cli.models.fields import Fields

if TYPE_CHECKING:
    from transformers import PretrainedConfig

_Check = Callable[[Fields, str], Any]
_Table = dict[str, _Check]

# The largest dense language models have some 130 layers, 18,000 wide, and 300,000 words.
_LAYERS, _HEADS, _WIDTH, _WORDS = 512, 1024, 1 << 19, 1 << 21
_POSITIONS = 1 << 27
IMAGE_SIZE = 2048
_ACTIVATIONS = ("gelu", "gelu_fast", "gelu_new", "gelu_pytorch_tanh", "quick_gelu", "relu", "silu", "swish")
# Names of modules, which the library takes for patterns: of these, one can be slow.
_MODULE = re.compile(r"[\w.]{0,200}(\*[\w.]{0,200}){0,2}")


def _whole(most: int, least: int = 1) -> _Check:
    return lambda fields, key: fields.integer(key, least=least, most=most)


def _one_of(*choices: Any) -> _Check:
    return lambda fields, key: fields.choice(key, None, choices)


def _number(fields: Fields, key: str) -> float:
    return fields.number(key, 0, least=0)


def _flag(fields: Fields, key: str) -> bool:
    return fields.flag(key, False)


def _text(fields: Fields, key: str) -> str:
    return fields.text(key, "")


def _ids(fields: Fields, key: str) -> Any:
    ids = fields.ids(key)
    return ids if isinstance(fields.values[key], list) else ids[0]


def _modules(fields: Fields, key: str) -> list[str]:
    names = fields.texts(key)
    if not all(map(_MODULE.fullmatch, names)):
        raise ModelError(f"{fields.source}: {fields.prefix}{key} must be names of modules")
    return list(names)


def _part(table: _Table) -> _Check:
    return lambda fields, key: _passed(fields.object(key), table)


_ROPE_KIND = _one_of("default", "linear", "dynamic", "yarn", "llama3")
_ROPE: _Table = dict.fromkeys(
    ("factor", "rope_theta", "attention_factor", "beta_fast", "beta_slow", "low_freq_factor", "high_freq_factor"),
    _number,
) | {"type": _ROPE_KIND, "rope_type": _ROPE_KIND, "original_max_position_embeddings": _whole(_POSITIONS)}  # fmt: skip

_LAYER: _Table = {
    "model_type": _text,
    "hidden_size": _whole(_WIDTH),
    "intermediate_size": _whole(_WIDTH),
    "num_hidden_layers": _whole(_LAYERS),
    "num_attention_heads": _whole(_HEADS),
    "hidden_act": _one_of(*_ACTIVATIONS),
}

_TEXT: _Table = _LAYER | {
    "vocab_size": _whole(_WORDS),
    "num_key_value_heads": _whole(_HEADS),
    "head_dim": _whole(_HEADS, least=2),
    "max_position_embeddings": _whole(2**31 - 1),
    "sliding_window": _whole(2**31 - 1),
    "max_window_layers": _whole(_LAYERS, least=0),
    "layer_types": lambda fields, key: fields.choices(key, ("full_attention", "sliding_attention"), _LAYERS),
    "rms_norm_eps": _number,
    "rope_theta": _number,
    "rope_scaling": _part(_ROPE),
    "rope_parameters": _part(_ROPE),
    "use_sliding_window": _flag,
    "attention_bias": _flag,
    "mlp_bias": _flag,
    "tie_word_embeddings": _flag,
    "bos_token_id": _ids,
    "eos_token_id": _ids,
    "pad_token_id": _ids,
}

_VISION: _Table = _LAYER | {
    "image_size": _whole(IMAGE_SIZE),
    "patch_size": _whole(IMAGE_SIZE),
    "num_channels": _one_of(3),
    "layer_norm_eps": _number,
    "projection_dim": _whole(_WIDTH),
    "vision_use_head": _flag,
    "spatial_merge_size": _whole(16),
    "rope_theta": _number,
}

_NUMBERS = ("float32", "bfloat16", "float16")
_QUANTIZATION: _Table = {
    "quant_method": _one_of("bitsandbytes"),
    "load_in_4bit": _flag,
    "load_in_8bit": _flag,
    "llm_int8_threshold": _number,
    "llm_int8_skip_modules": _modules,
    "bnb_4bit_compute_dtype": _one_of(*_NUMBERS),
    "bnb_4bit_quant_storage": _one_of("uint8", *_NUMBERS),
    "bnb_4bit_quant_type": _one_of("nf4", "fp4"),
    "bnb_4bit_use_double_quant": _flag,
}

_WHOLE: _Table = {
    "model_type": _text,
    "text_config": _part(_TEXT),
    "vision_config": _part(_VISION),
    "quantization_config": _part(_QUANTIZATION),
    "image_token_index": _whole(2**31 - 1, least=0),
    "image_token_id": _whole(2**31 - 1, least=0),
    "video_token_index": _whole(2**31 - 1, least=0),
    "video_token_id": _whole(2**31 - 1, least=0),
    "image_seq_length": _whole(_POSITIONS),
    "video_seq_length": _whole(_POSITIONS),
    "image_grid_pinpoints": lambda fields, key: fields.sizes(key),
    "projector_hidden_act": _one_of(*_ACTIVATIONS),
    "multimodal_projector_bias": _flag,
    "vision_feature_layer": lambda fields, key: fields.values[key] if fields.indices(key, -1, _LAYERS) else None,
    "vision_feature_select_strategy": _one_of("default", "full"),
    "vision_aspect_ratio": _text,
    "spatial_pool_mode": _one_of("average", "max", "conv", "bilinear"),
    "spatial_pool_stride": _whole(IMAGE_SIZE),
    "use_image_newline_parameter": _flag,
    "tie_word_embeddings": _flag,
    "bos_token_id": _ids,
    "eos_token_id": _ids,
    "pad_token_id": _ids,
    "mm_spatial_pool_mode": _text,
    "mm_newline_position": _text,
}


def settings(config: Fields) -> dict[str, Any]:
    """What the library is told of a config.json.

    Raises:
        ModelError: a setting is not what it may be; or the weights are quantized in a way that is not supported.
    """
    known = _passed(config, _WHOLE)
    quantization = known.pop("quantization_config", None)
    if config.object("quantization_config").values:
        if not (quantization.get("load_in_4bit") or quantization.get("load_in_8bit")):
            raise ModelError(f"{config.source}: its weights are quantized, but not by bitsandbytes to 4 or 8 bit")
        known["quantization_config"] = quantization
    return known


def check_heads(config: PretrainedConfig, source: str) -> None:
    """Make sure that the language model's heads go together; the library finds that out when it runs.

    Raises:
        ModelError: they do not.
    """
    text = config.get_text_config()
    heads = text.num_attention_heads
    width = getattr(text, "head_dim", None) or text.hidden_size // heads
    shared = getattr(text, "num_key_value_heads", None) or heads
    if width < 2 or width % 2 or heads % shared:
        raise ModelError(
            f"{source} says {heads} attention heads, {shared} of them with keys, each {width} wide: such a model "
            "cannot run"
        )


def _passed(fields: Fields, table: _Table) -> dict[str, Any]:
    """What a table lets pass. Null stays null, which is not the same as nothing."""
    said = {key: check for key, check in table.items() if key in fields.values}
    return {key: None if fields.values[key] is None else check(fields, key) for key, check in said.items()}
