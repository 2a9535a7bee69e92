# SPDX-License-Identifier: Apache-2.0
"""The settings that LLaVA-OneVision-2 is built from. What its files leave out is what its authors' own classes take."""

from __future__ import annotations

from typing import Any, ClassVar

from transformers import PretrainedConfig, Qwen3Config


class LlavaOnevision2VisionConfig(PretrainedConfig):
    """The vision tower and the merger."""

    model_type = "llava_onevision2"
    base_config_key = "vision_config"

    hidden_size: int = 1024
    intermediate_size: int = 4096
    num_hidden_layers: int = 24
    num_attention_heads: int = 16
    patch_size: int = 14
    spatial_merge_size: int = 3
    hidden_act: str = "gelu"
    layer_norm_eps: float = 1e-6
    rope_theta: float = 10000.0


class LlavaOnevision2Config(PretrainedConfig):
    """All of it; the language model is Qwen3."""

    model_type = "llava_onevision2"
    sub_configs: ClassVar[dict[str, type[PretrainedConfig]]] = {
        "text_config": Qwen3Config,
        "vision_config": LlavaOnevision2VisionConfig,
    }

    text_config: Any = None
    vision_config: Any = None
    image_token_id: int = 151655
    video_token_id: int = 151656
    tie_word_embeddings: bool = False

    def __post_init__(self, **settings: Any) -> None:
        for name, kind in self.sub_configs.items():
            part = getattr(self, name)
            if not isinstance(part, PretrainedConfig):
                setattr(self, name, kind(**{key: value for key, value in (part or {}).items() if key != "model_type"}))
        super().__post_init__(**settings)
