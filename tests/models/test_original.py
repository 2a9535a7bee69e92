# SPDX-License-Identifier: Apache-2.0
"""The original authors' layout: read as transformers', and refused by name where it asks for more."""

from __future__ import annotations

import pytest
from tiny.llava_video import first_onevision_config, original_config

from llava_cli.errors import ModelError
from llava_cli.models import original
from llava_cli.models.fields import Fields

ORIGINAL = {key: value for key, value in original_config().items() if key != "vision_config"}


def converted(**settings: object) -> dict:
    return original.converted(Fields(ORIGINAL | settings, "x: config.json"))


def test_the_layout_is_known_by_its_class_and_not_by_its_type():
    assert original.is_original(ORIGINAL | {"model_type": "llava_onevision"})
    assert original.is_original(first_onevision_config())
    assert not original.is_original({"architectures": "LlavaQwenForCausalLM"})
    assert not original.is_original({"model_type": "llava_qwen"})


def test_settings_that_stand_side_by_side_are_put_where_they_belong():
    config = converted(hidden_size=96, quantization_config={"load_in_4bit": True})
    assert config["text_config"]["hidden_size"] == 96
    assert config["text_config"]["model_type"] == "qwen2"
    assert "mm_hidden_size" not in config["text_config"]
    assert config["vision_config"]["num_hidden_layers"] == 26
    assert config["quantization_config"] == {"load_in_4bit": True}
    assert not any(key.startswith(("mm_", "add_")) for key in config)


@pytest.mark.parametrize("tied", [True, False])
def test_output_weights_that_are_the_embeddings(tied):
    config = converted(tie_word_embeddings=tied)
    assert config["tie_word_embeddings"] == config["text_config"]["tie_word_embeddings"] == tied


GRID = [[384 * rows, 384 * columns] for columns in range(1, 4) for rows in range(1, 3)]


@pytest.mark.parametrize(
    ("said", "canvases"),
    [
        ([[384, 768], [1152, 384]], [[768, 384], [384, 1152]]),
        ("(1x1),...,(3x2)", GRID),
        ("(1x1),(1x2),(2x1),(2x2),(3x1),(3x2)", GRID),
        ("[(384, 768), (1152, 384)]", [[768, 384], [384, 1152]]),
        ("[[384, 768]]", [[768, 384]]),
    ],
)
def test_canvases_are_read_as_width_and_height_in_every_spelling(said, canvases):
    assert converted(image_grid_pinpoints=said)["image_grid_pinpoints"] == canvases


def test_tiles_are_as_large_as_what_the_tower_sees():
    config = converted(image_grid_pinpoints="(1x1),...,(1x2)", vision_config={"image_size": 70})
    assert config["image_grid_pinpoints"] == [[70, 70], [140, 70]]


@pytest.mark.parametrize(
    "said", ["", "(2x2),...,(1x1)", "384", "(0x1)", "anyres", "[" * 9999, "(1x1", "__import__('os')", [], 7, {"a": 1}]
)
def test_canvases_that_are_none_are_told(said):
    with pytest.raises(
        ModelError, match=r"^x: config\.json says image_grid_pinpoints = [^\n]*; it must be a list of pairs"
    ):
        converted(image_grid_pinpoints=said)


def test_canvases_that_are_left_out_are_left_to_the_library():
    assert "image_grid_pinpoints" not in converted(image_grid_pinpoints=None)
    assert converted(image_aspect_ratio=None)["vision_aspect_ratio"] == "anyres_max_9"


@pytest.mark.parametrize("key", ["mm_vision_tower", "mm_projector_type", "mm_patch_merge_type"])
def test_what_the_authors_code_would_take_for_something_else_must_be_said(key):
    with pytest.raises(ModelError, match=rf"^x: config\.json (has no|says) {key}"):
        converted(**{key: None})
