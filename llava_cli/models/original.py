# SPDX-License-Identifier: Apache-2.0
"""The original authors' layout of LLaVA-OneVision and LLaVA-Video, read as if it were transformers'.

Their config.json has the language model's settings and their own side by side, and their weights have other names.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Any

from llava_cli.errors import ModelError
from llava_cli.models.fields import Fields
from llava_cli.models.published import SIGLIP_384
from llava_cli.models.settings import IMAGE_SIZE

WEIGHT_NAMES = {
    r"^model\.vision_tower\.vision_tower\.vision_model\.": "model.vision_tower.",
    r"^model\.mm_projector\.0\.": "model.multi_modal_projector.linear_1.",
    r"^model\.mm_projector\.2\.": "model.multi_modal_projector.linear_2.",
    r"^model\.(embed_tokens|layers|norm)\.": r"model.language_model.\1.",
}
"""Patterns that turn the authors' names of weights into transformers'."""

_TOWER, _TILE = "siglip-so400m-patch14-384", 384
# What the original config.json says of its language model, at the top level.
_TEXT_KEYS = (
    "vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads",
    "num_key_value_heads", "hidden_act", "max_position_embeddings", "rms_norm_eps", "rope_theta", "rope_scaling",
    "rope_parameters", "use_sliding_window", "sliding_window", "max_window_layers", "tie_word_embeddings",
    "bos_token_id", "eos_token_id", "pad_token_id",
)  # fmt: skip


def architectures(config: Mapping[str, Any]) -> list[Any]:
    """The classes that a config.json says it is of."""
    names = config.get("architectures")
    return names if isinstance(names, list) else []


def is_original(config: Mapping[str, Any]) -> bool:
    """Whether a config.json is in the authors' layout; its `model_type` was changed to please one server or another."""
    return "LlavaQwenForCausalLM" in architectures(config)


def converted(fields: Fields) -> dict[str, Any]:
    """An original config.json in LLaVA-OneVision's layout, without what only LLaVA-Video says.

    Raises:
        ModelError: it asks for what is not supported.
    """
    _check(fields)
    said = fields.values
    config: dict[str, Any] = {
        "model_type": "llava_onevision",
        "text_config": {"model_type": "qwen2"} | {key: said[key] for key in _TEXT_KEYS if key in said},
        # The authors take the features before the last of the tower's 27 layers, so their files hold 26.
        "vision_config": SIGLIP_384 | dict(fields.object("vision_config").values),
        "vision_feature_layer": -1,
        "vision_feature_select_strategy": "full",
        "vision_aspect_ratio": f"anyres_max_{fields.numbered('image_aspect_ratio', 'anyres_max_9', 'anyres_max_')}",
        "tie_word_embeddings": fields.flag("tie_word_embeddings", False),
        # Rows of the vocabulary that the language model has no use for.
        "image_token_index": 151646,
        "video_token_index": 151647,
    }
    if said.get("image_grid_pinpoints") is not None:
        config["image_grid_pinpoints"] = _canvases(fields)
    if "quantization_config" in said:
        config["quantization_config"] = said["quantization_config"]
    return config


def _check(fields: Fields) -> None:
    fields.choice("mm_projector_type", None, ("mlp2x_gelu",))
    fields.choice("mm_patch_merge_type", None, ("spatial_unpad",))
    for key in ("mm_resampler_type", "mm_use_im_start_end"):
        fields.unset(key)
    fields.unset("add_faster_video")  # the released code for it does not run
    tower = fields.text("mm_vision_tower", "")
    if _TOWER not in tower:
        raise ModelError(f"{fields.source} says mm_vision_tower = {tower!r}; it must be {_TOWER}")


def _canvases(fields: Fields) -> list[list[int]]:
    """The canvases as (height, width): the authors list (width, height), or write `(1x1),...,(6x6)` tiles."""
    key = "image_grid_pinpoints"
    said = fields.values[key]
    if isinstance(said, str):
        tile = fields.object("vision_config").integer("image_size", _TILE, most=IMAGE_SIZE)
        with suppress(ValueError, SyntaxError, MemoryError, RecursionError):
            said = _tiled(said, tile) or ast.literal_eval(said)
    sizes = replace(fields, values={key: said}).sizes(key)
    return [[height, width] for width, height in sizes]


def _tiled(text: str, tile: int) -> list[list[int]]:
    """Every size from the first that is named to the last; nothing where none is."""
    named = [(int(columns), int(rows)) for columns, rows in re.findall(r"\(([1-9]\d?)x([1-9]\d?)\)", text)]
    if not named:
        return []
    (columns, rows), (most_columns, most_rows) = named[0], named[-1]
    across, down = range(columns, most_columns + 1), range(rows, most_rows + 1)
    return [[tile * wide, tile * high] for wide in across for high in down]
