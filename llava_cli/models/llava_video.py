# SPDX-License-Identifier: Apache-2.0
"""LLaVA-Video: LLaVA-OneVision's parts with a newline after every row of a frame, told when each frame was taken."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from llava_cli.media.clip import Clip
from llava_cli.models.checkpoint import Checkpoint
from llava_cli.models.fields import Fields
from llava_cli.models.messages import Conversation, Part, Turn
from llava_cli.models.onevision import Onevision
from llava_cli.models.published import SIGLIP_384

if TYPE_CHECKING:
    from llava_cli.models.llava_video_model import LlavaVideoForConditionalGeneration

# What the released checkpoints were trained and evaluated with.
_FRAMES = 64
_TOWER = "siglip-so400m-patch14-384"
# What the original config.json says of its language model, at the top level.
_TEXT_KEYS = (
    "vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads",
    "num_key_value_heads", "hidden_act", "max_position_embeddings", "rms_norm_eps", "rope_theta", "rope_scaling",
    "rope_parameters", "use_sliding_window", "sliding_window", "max_window_layers", "tie_word_embeddings",
    "bos_token_id", "eos_token_id", "pad_token_id",
)  # fmt: skip
# What makes a LLaVA-Video of a LLaVA-OneVision, and what it means where it is not said.
_MARKS = {"mm_spatial_pool_mode": "bilinear", "mm_newline_position": "grid", "add_time_instruction": True}
_POOL_MODES = ("bilinear", "average", "max")
_NEWLINE_POSITIONS = ("grid", "frame", "one_token", "no_token")


class LlavaVideo(Onevision):
    """The 7B and 72B checkpoints (Qwen2) in the authors' own layout, and their conversions to LLaVA-OneVision's."""

    name = "llava-video"
    # Qwen2 in float16 was seen to answer with nothing but exclamation marks.
    supports_float16 = False
    key_mapping = {
        # The authors' names.
        r"^model\.vision_tower\.vision_tower\.vision_model\.": "model.vision_tower.",
        r"^model\.mm_projector\.0\.": "model.multi_modal_projector.linear_1.",
        r"^model\.mm_projector\.2\.": "model.multi_modal_projector.linear_2.",
        r"^model\.(embed_tokens|layers|norm)\.": r"model.language_model.\1.",
        # Those of conversions: transformers renames them for its own classes only.
        r"^language_model\.lm_head\.": "lm_head.",
        r"^language_model\.model\.": "model.language_model.",
        r"^vision_tower\.(vision_model\.)?": "model.vision_tower.",
        r"^multi_modal_projector\.": "model.multi_modal_projector.",
        r"^image_newline$": "model.image_newline",
    }

    def __init__(self, checkpoint: Checkpoint) -> None:
        """Read an original config.json as if it were in LLaVA-OneVision's layout.

        Raises:
            ModelError: it asks for what no released code does.
        """
        config = checkpoint.config if "text_config" in checkpoint.config else _converted(checkpoint.fields)
        silent = {key: default for key, default in _MARKS.items() if config.get(key) is None}
        super().__init__(dataclasses.replace(checkpoint, config=config | silent))
        self._pool_mode = self.config.choice("mm_spatial_pool_mode", "bilinear", _POOL_MODES)
        self._newline_position = self.config.choice("mm_newline_position", "grid", _NEWLINE_POSITIONS)

    @staticmethod
    def recognizes(config: Mapping[str, Any]) -> bool:
        if config.get("model_type") == "llava_onevision":
            ours = "LlavaVideoForConditionalGeneration" in _architectures(config)
            return ours or any(key in config for key in _MARKS)
        # The first LLaVA-OneVision has the same architecture but came before these settings.
        return (
            "LlavaQwenForCausalLM" in _architectures(config)
            and _TOWER in str(config.get("mm_vision_tower"))
            and config.get("mm_projector_type") == "mlp2x_gelu"
            and config.get("mm_patch_merge_type") == "spatial_unpad"
            and ("mm_newline_position" in config or "add_time_instruction" in config)
            and not any(config.get(key) for key in ("add_faster_video", "mm_resampler_type", "mm_use_im_start_end"))
        )

    @property
    def _frames(self) -> int:
        return _FRAMES

    @property
    def _pooled(self) -> int:
        return super()._pooled if self._pool_mode == "bilinear" else self._patches // 2

    def _newlines(self, frames: int) -> int:
        return {"grid": frames * self._pooled, "frame": frames, "one_token": 1, "no_token": 0}[self._newline_position]

    @property
    def _newline_ends_video(self) -> bool:
        return self._newline_position == "one_token"

    def model_class(self) -> type[LlavaVideoForConditionalGeneration]:
        from llava_cli.models.llava_video_model import LlavaVideoForConditionalGeneration

        return LlavaVideoForConditionalGeneration

    def instructed(self, ask: Conversation) -> Conversation:
        if not self.config.flag("add_time_instruction", True):
            return ask
        return dataclasses.replace(ask, turns=tuple(map(_with_times, ask.turns)))


def _architectures(config: Mapping[str, Any]) -> list[Any]:
    names = config.get("architectures")
    return names if isinstance(names, list) else []


def _converted(fields: Fields) -> dict[str, Any]:
    """An original config.json in LLaVA-OneVision's layout."""
    original = fields.values
    config: dict[str, Any] = {
        "model_type": "llava_onevision",
        "text_config": {"model_type": "qwen2"} | {key: original[key] for key in _TEXT_KEYS if key in original},
        # The authors take the features before the last of the tower's 27 layers, so their files hold 26.
        "vision_config": SIGLIP_384 | dict(fields.object("vision_config").values),
        "vision_feature_layer": -1,
        "vision_feature_select_strategy": "full",
        "tie_word_embeddings": fields.flag("tie_word_embeddings", False),
        # Rows of the vocabulary that the language model has no use for.
        "image_token_index": 151646,
        "video_token_index": 151647,
    }
    config |= {key: original[key] for key in (*_MARKS, "quantization_config") if key in original}
    if fields.text("image_aspect_ratio", "").startswith("anyres_max_"):
        config["vision_aspect_ratio"] = original["image_aspect_ratio"]
    if isinstance(original.get("image_grid_pinpoints"), list):
        # The authors write (width, height).
        sizes = fields.sizes("image_grid_pinpoints", [])
        config["image_grid_pinpoints"] = [[height, width] for width, height in sizes]
    return config


def _with_times(turn: Turn) -> Turn:
    """The turn with each clip's times on a line of their own: after the clip, or before a sentence that holds it."""
    before: list[Part] = []
    parts: list[Part] = []
    for part, following in zip(turn.parts, (*turn.parts[1:], ""), strict=True):
        parts.append(part)
        if not isinstance(part, Clip):
            continue
        if not turn.inline:
            parts.append(_times(part) + "\n")
        elif isinstance(following, str) and following.startswith("\n"):
            parts.append("\n" + _times(part))
        else:
            before.append(_times(part) + "\n")
    return dataclasses.replace(turn, parts=_joined([*before, *parts]))


def _times(clip: Clip) -> str:
    """What the model was trained to read; the wording is part of the training."""
    duration = clip.info.duration if clip.info.duration is not None else clip.times[-1]
    times = ",".join(f"{time:.2f}s" for time in clip.times)
    return (
        f"The video lasts for {duration:.2f} seconds, and {len(clip.times)} frames are uniformly sampled from it. "
        f"These frames are located at {times}.Please answer the following questions related to this video."
    )


def _joined(parts: list[Part]) -> tuple[Part, ...]:
    """Neighbouring texts as one: chat templates may break the line before each."""
    joined: list[Part] = []
    for part in parts:
        if joined and isinstance(part, str) and isinstance(joined[-1], str):
            joined[-1] += part
        else:
            joined.append(part)
    return tuple(joined)
