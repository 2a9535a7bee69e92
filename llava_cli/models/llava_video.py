# SPDX-License-Identifier: Apache-2.0
"""LLaVA-Video: LLaVA-OneVision's parts with a newline after every row of a frame, told when each frame was taken."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from llava_cli.errors import ModelError
from llava_cli.media.clip import Clip
from llava_cli.models import original
from llava_cli.models.checkpoint import Checkpoint
from llava_cli.models.fields import LIBRARY, Fields
from llava_cli.models.messages import Conversation, Part, Turn
from llava_cli.models.onevision import Onevision

if TYPE_CHECKING:
    from llava_cli.models.llava_video_model import LlavaVideoForConditionalGeneration

# What the released checkpoints were trained and evaluated with.
_FRAMES = 64
_AUTHORS_OWN = "lmms-lab/LLaVA-Video-7B-Qwen2"
# What makes a LLaVA-Video of a LLaVA-OneVision, and what it means where it is not said.
_MARKS = {"mm_spatial_pool_mode": "bilinear", "mm_newline_position": "grid", "add_time_instruction": True}
_POOL_MODES = ("bilinear", "average", "max")
_NEWLINE_POSITIONS = ("grid", "frame", "one_token", "no_token")


class LlavaVideo(Onevision):
    """The 7B and 72B checkpoints (Qwen2) in the authors' own layout, and their conversions to transformers' layouts."""

    name = "llava-video"
    # Qwen2 in float16 was seen to answer with nothing but exclamation marks.
    supports_float16 = False
    key_mapping = original.WEIGHT_NAMES | {
        # Those of conversions: transformers renames them for its own classes only.
        r"^language_model\.lm_head\.": "lm_head.",
        r"^language_model\.model\.": "model.language_model.",
        r"^vision_tower\.(vision_model\.)?": "model.vision_tower.",
        r"^multi_modal_projector\.": "model.multi_modal_projector.",
        r"^image_newline$": "model.image_newline",
    }

    def __init__(self, checkpoint: Checkpoint) -> None:
        """Read a config.json of any layout as if it were in LLaVA-OneVision's.

        Raises:
            ModelError: it asks for what no released code does.
        """
        config = _as_onevision(checkpoint.fields)
        silent = {key: default for key, default in _MARKS.items() if config.get(key) is None}
        super().__init__(dataclasses.replace(checkpoint, config=config | silent))
        self._pool_mode = self.config.choice("mm_spatial_pool_mode", "bilinear", _POOL_MODES)
        self._newline_position = self.config.choice("mm_newline_position", "grid", _NEWLINE_POSITIONS)

    @staticmethod
    def recognizes(config: Mapping[str, Any]) -> bool:
        # LLaVA-OneVision tells no times and ends each video with one newline; in the authors' layout that goes unsaid.
        newline, times = config.get("mm_newline_position"), str(config.get("add_time_instruction")).lower() == "true"
        if original.is_original(config):
            return times or newline not in (None, "one_token")
        if config.get("model_type") == "llava_onevision":
            marked = any(key in config for key in _MARKS) and (times or newline != "one_token")
            return marked or "LlavaVideoForConditionalGeneration" in original.architectures(config)
        return _is_next_video(config)

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
        return dataclasses.replace(ask, turns=tuple(map(_with_times, self.media_first(ask).turns)))


def _is_next_video(config: Mapping[str, Any]) -> bool:
    """Whether it is a conversion to a class of LLaVA-NeXT-Video's kind, which transformers never released."""
    text = config.get("text_config")
    qwen = isinstance(text, Mapping) and text.get("model_type") == "qwen2"
    return config.get("model_type") == "llava_next_video2" or (config.get("model_type") == "llava_next_video" and qwen)


def _as_onevision(fields: Fields) -> dict[str, Any]:
    """A config.json in LLaVA-OneVision's layout."""
    if original.is_original(fields.values):
        said = {key: fields.values[key] for key in _MARKS if key in fields.values}
        return original.converted(fields) | said
    if not _is_next_video(fields.values):
        return dict(fields.values)
    try:
        return _of_next_video(fields)
    except ModelError as error:
        raise ModelError(f"{error}; the authors' own {_AUTHORS_OWN} works") from error


def _of_next_video(fields: Fields) -> dict[str, Any]:
    """The weights are the authors', so they are run as the authors run them: this class pooled too early."""
    fields.object("text_config").choice("model_type", LIBRARY, ("qwen2",))
    fields.object("vision_config").choice("model_type", LIBRARY, ("siglip_vision_model",))
    fields.choice("vision_feature_layer", LIBRARY, (-1,))
    fields.choice("vision_feature_select_strategy", LIBRARY, ("full",))
    fields.choice("spatial_pool_stride", LIBRARY, (2,))
    config = {key: value for key, value in fields.values.items() if key != "architectures"}
    return config | {
        "model_type": "llava_onevision",
        "mm_spatial_pool_mode": fields.choice("spatial_pool_mode", LIBRARY, _POOL_MODES),
        "mm_newline_position": fields.choice("newline_position", "grid", _NEWLINE_POSITIONS),
    }


def _with_times(turn: Turn) -> Turn:
    """The turn with each clip's times on a line of their own: after the clip, or before a sentence that holds it."""
    if not any(isinstance(part, Clip) for part in turn.parts):
        return turn
    if turn.inline:
        return dataclasses.replace(turn, parts=_joined(_before_sentence(turn.parts), ""))
    parts: list[Part] = []
    for part in turn.parts:
        parts += [part, _times(part)] if isinstance(part, Clip) else [part]
    return dataclasses.replace(turn, parts=_joined(parts, "\n"))


def _before_sentence(placed: Sequence[Part]) -> list[Part]:
    before: list[Part] = []
    parts: list[Part] = []
    for part, following in zip(placed, (*placed[1:], ""), strict=True):
        parts.append(part)
        if not isinstance(part, Clip):
            continue
        if isinstance(following, str) and following.startswith("\n"):
            parts.append("\n" + _times(part))
        else:
            before.append(_times(part) + "\n")
    return [*before, *parts]


def _times(clip: Clip) -> str:
    """What the model was trained to read; the wording is part of the training."""
    duration = clip.info.duration if clip.info.duration is not None else clip.times[-1]
    times = ",".join(f"{time:.2f}s" for time in clip.times)
    return (
        f"The video lasts for {duration:.2f} seconds, and {len(clip.times)} frames are uniformly sampled from it. "
        f"These frames are located at {times}.Please answer the following questions related to this video."
    )


def _joined(parts: Sequence[Part], between: str) -> tuple[Part, ...]:
    """Neighbouring texts as one, whatever a chat template would put between them."""
    joined: list[Part] = []
    for part in parts:
        if joined and isinstance(part, str) and isinstance(joined[-1], str):
            joined[-1] += between + part
        else:
            joined.append(part)
    return tuple(joined)
