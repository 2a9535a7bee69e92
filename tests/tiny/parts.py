# SPDX-License-Identifier: Apache-2.0
"""What tiny checkpoints of several families are made of, and how their files are written."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from transformers import CONFIG_MAPPING, CLIPVisionConfig, PreTrainedModel, PreTrainedTokenizerFast

LANGUAGE = {
    "hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2, "num_attention_heads": 4,
    "num_key_value_heads": 2, "max_position_embeddings": 2048,
}  # fmt: skip
TOWER = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 3, "num_attention_heads": 2}


def clip_tower(image_size: int, patch_size: int) -> dict[str, Any]:
    """The config of CLIP's vision tower."""
    return CLIPVisionConfig(image_size=image_size, patch_size=patch_size, projection_dim=32, **TOWER).to_dict()


def clip_preprocessor(image_size: int) -> dict[str, Any]:
    """The preprocessor_config.json of CLIP's pictures: scaled to the shortest edge, then cropped."""
    return {
        "image_mean": [0.48145466, 0.4578275, 0.40821073],
        "image_std": [0.26862954, 0.26130258, 0.27577711],
        "size": {"shortest_edge": image_size},
        "crop_size": {"height": image_size, "width": image_size},
        "resample": 3,
    }


def siglip_preprocessor(image_size: int) -> dict[str, Any]:
    """The preprocessor_config.json of SigLIP's pictures: squashed into a square."""
    return {
        "image_mean": [0.5, 0.5, 0.5],
        "image_std": [0.5, 0.5, 0.5],
        "size": {"height": image_size, "width": image_size},
        "resample": 3,
    }


def write(
    folder: Path,
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerFast,
    preprocessor: dict[str, Any],
    template: str,
) -> Path:
    """Write a checkpoint in the hub's file layout."""
    tokenizer.save_pretrained(folder)
    (folder / "chat_template.json").write_text(json.dumps({"chat_template": template}))
    model.save_pretrained(folder)
    (folder / "preprocessor_config.json").write_text(json.dumps(preprocessor))
    leave_out_defaults(folder / "config.json")
    return folder


def leave_out_defaults(file: Path) -> None:
    """Keep of a config.json only what differs from the defaults of its classes, as the released files do."""
    said = json.loads(file.read_text())
    kinds = {part: {"model_type": said[part]["model_type"]} for part in ("text_config", "vision_config")}
    defaults = CONFIG_MAPPING[said["model_type"]](**kinds).to_dict()
    kept = _differing(said, defaults) | {part: _differing(said[part], defaults[part]) for part in kinds}
    file.write_text(json.dumps(kept, indent=2))


def _differing(said: dict[str, Any], defaults: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in said.items() if key == "model_type" or value != defaults.get(key, ...)}


def enlarge(model: PreTrainedModel, scale: float, embeddings: float | None = None) -> None:
    """Make the weights so large that every input counts.

    Args:
        scale: the deviation that a sum of inputs is given.
        embeddings: the deviation of the words' embeddings, where it is not to follow from `scale`.
    """
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if "embed_tokens" in name and embeddings is not None:
                weight.normal_(0, embeddings)
            elif weight.ndim > 1:
                weight.normal_(0, scale / weight[0].numel() ** 0.5)
            elif "norm" not in name:
                weight.normal_(0, 0.3)


def keep_answers_readable(model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast) -> None:
    """Keep control tokens and parts of characters out of the answers: in their text they could not be told apart."""
    numbers = range(len(model.lm_head.weight))
    texts = tokenizer.batch_decode([[number] for number in numbers], skip_special_tokens=True)
    readable = [bool(text) and text.isascii() and text.isprintable() for text in texts]
    with torch.no_grad():
        model.lm_head.weight *= torch.tensor(readable)[:, None]


def rename_weights_as_of_old(folder: Path) -> None:
    """Give the weights of the towers the names that they have in the released files."""
    file = folder / "model.safetensors"
    renamed = {
        re.sub(r"^((vision|video|image)_tower)\.", r"\1.vision_model.", name): weight
        for name, weight in load_file(file).items()
    }
    save_file(renamed, file, {"format": "pt"})
