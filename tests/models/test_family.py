# SPDX-License-Identifier: Apache-2.0
"""What families read in a checkpoint's files: what the library reads, and never a crash where it makes no sense."""

from __future__ import annotations

import contextlib
import copy
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from pictures import clip, still

from llava_cli.engine.loader import Loader
from llava_cli.engine.types import LoadOptions
from llava_cli.errors import ModelError
from llava_cli.models.checkpoint import Checkpoint, with_linear_rope
from llava_cli.models.family import Family
from llava_cli.models.fields import Fields
from llava_cli.models.messages import ask
from llava_cli.models.published import PUBLISHED
from llava_cli.models.registry import FAMILIES, family_of

# One checkpoint of each family.
NAMES = ["next-video-7b", "video-llava-7b", "interleave-7b", "onevision-7b", "llava-video-7b", "onevision2-8b"]
QUANTIZED = {"load_in_4bit": True, "llm_int8_skip_modules": ["lm_head"]}


def family(config: dict[str, Any], folder: Path = Path("nowhere")) -> Family:
    return family_of(Checkpoint("tiny", folder, config))


def family_like(name: str, config: dict[str, Any]) -> Family:
    """The family of a published checkpoint, whatever the config says."""
    return type(family(PUBLISHED[name].config))(Checkpoint("tiny", Path("nowhere"), config))


def config_of(name: str) -> dict[str, Any]:
    """What a family reads: LLaVA-Video's in the layout that the authors' is brought into."""
    return family(PUBLISHED[name].config).checkpoint.config | {"quantization_config": QUANTIZED}


def read_all(own: Family) -> None:
    """Everything that a checkpoint's small files tell."""
    _ = own.context, own.placeholder_ids, own.template
    for medium in (clip(own.view.sampling.frames, 8, 8), still(48, 64)):
        own.placeholders(medium)
    own.instructed(ask("Why?", [clip(2, 8, 8)]))
    loader = Loader(own, LoadOptions(device="cpu"))
    _ = loader.quantization, loader.modules_to_not_convert


def fields_read(name: str) -> list[str]:
    """The fields of config.json that a family reads, by their path."""
    read: dict[str, None] = {}
    checked = Fields._checked
    config = config_of(name)

    def noted(fields: Fields, key: str, *rest: Any) -> Any:
        if fields.source.endswith(": config.json"):
            read[fields.prefix + key] = None
        return checked(fields, key, *rest)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Fields, "_checked", noted)
        read_all(family(config))
    return list(read)


def changed(config: dict[str, Any], path: str, value: Any) -> dict[str, Any]:
    """The config with another value at a path."""
    config = copy.deepcopy(config)
    *parents, key = path.split(".")
    place = config
    for parent in parents:
        place = place.setdefault(parent, {})
    place[key] = value
    return config


READ = {name: fields_read(name) for name in NAMES}


def test_all_families_are_here():
    assert {type(family(PUBLISHED[name].config)) for name in NAMES} == set(FAMILIES)
    assert all("text_config.max_position_embeddings" in READ[name] for name in NAMES)
    assert all("vision_config.image_size" in READ[name] for name in NAMES if name != "onevision2-8b")


@pytest.mark.parametrize(("name", "path"), [(name, path) for name in NAMES for path in READ[name]])
def test_a_field_that_is_wrong_is_named(name, path):
    with pytest.raises(ModelError, match=rf"^tiny: config\.json says {path} = \[True\]; it must be [^\n]+$"):
        read_all(family_like(name, changed(config_of(name), path, [True])))


@pytest.mark.parametrize(
    ("key", "told"),
    [
        ("vision_config", "vision_config"),
        ("image_grid_pinpoints", "image_grid_pinpoints"),
        ("image_aspect_ratio", "image_aspect_ratio"),
        ("tie_word_embeddings", "tie_word_embeddings"),
        ("max_position_embeddings", r"text_config\.max_position_embeddings"),
    ],
)
def test_a_field_of_the_authors_layout_that_is_wrong_is_named(key, told):
    with pytest.raises(ModelError, match=rf"^tiny: config\.json says {told} = \[True\]; it must be [^\n]+$"):
        read_all(family(PUBLISHED["llava-video-7b"].config | {key: [True]}))


@pytest.mark.parametrize("value", ["336", "", -1, 0, 1.5, True, [], {}, [[1, 2]], [[]], {"a": []}, 10**400, None])
@pytest.mark.parametrize("name", NAMES)
def test_no_value_of_any_field_is_a_crash(name, value):
    """It may be in order; if it is not, that is told."""
    for path in READ[name]:
        with contextlib.suppress(ModelError):
            read_all(family(changed(config_of(name), path, value)))
            read_all(family_of(with_linear_rope(Checkpoint("tiny", Path(), changed(config_of(name), path, value)), 2)))


@pytest.mark.parametrize(
    ("name", "path", "value"),
    [
        ("next-video-7b", "vision_config.patch_size", 337),
        ("next-video-7b", "spatial_pool_stride", 25),
        ("next-video-7b", "image_grid_pinpoints", [[300, 300]]),
        ("next-video-7b", "image_token_index", 2**63),
        ("onevision-7b", "image_grid_pinpoints", [[384, 385]]),
        ("onevision-7b", "vision_aspect_ratio", "anyres_max_x"),
        ("video-llava-7b", "video_token_index", -1),
        ("video-llava-7b", "vision_feature_layer", 25),
        ("interleave-7b", "vision_feature_layer", [-28]),
    ],
)
def test_fields_that_contradict_others_are_named(name, path, value):
    with pytest.raises(ModelError, match=rf"tiny: config\.json says {path} = .*; it must be"):
        read_all(family(changed(PUBLISHED[name].config, path, value)))


@pytest.mark.parametrize("name", NAMES)
def test_without_a_vision_config_nothing_is_assumed(name):
    with pytest.raises(ModelError, match=r"^tiny: config\.json has no vision_config; it must be an object$"):
        family_like(name, changed(config_of(name), "vision_config", None))


@pytest.mark.parametrize(
    ("name", "path", "value"),
    [
        ("next-video-7b", "text_config.pad_token_id", 10**6),
        ("interleave-7b", "text_config.pad_token_id", 10**6),
        ("onevision-7b", "vision_config.num_attention_heads", 7),
    ],
)
def test_a_model_that_cannot_be_built_is_told(name, path, value):
    own = family(changed(PUBLISHED[name].config, path, value))
    with pytest.raises(ModelError, match=r"^tiny: damaged config\.json: [^\n]+$"):
        Loader(own, LoadOptions(device="cpu")).plan([(1, 1)])


@pytest.mark.parametrize(
    ("name", "path"),
    [
        *((name, "text_config.max_position_embeddings") for name in NAMES),
        ("next-video-7b", "vision_config.image_size"),
        ("next-video-7b", "vision_config.patch_size"),
        ("next-video-7b", "spatial_pool_stride"),
        ("next-video-7b", "image_grid_pinpoints"),
        ("video-llava-7b", "vision_config.image_size"),
        ("video-llava-7b", "vision_config.patch_size"),
        ("video-llava-7b", "vision_feature_select_strategy"),
        ("interleave-7b", "vision_config.image_size"),
        ("interleave-7b", "vision_config.patch_size"),
        ("interleave-7b", "vision_feature_select_strategy"),
        ("onevision-7b", "vision_config.image_size"),
        ("onevision-7b", "vision_config.patch_size"),
        ("onevision-7b", "vision_aspect_ratio"),
        ("onevision-7b", "image_grid_pinpoints"),
    ],
)
def test_what_the_config_leaves_out_is_what_the_library_takes(name, path):
    left_out = family(changed(config_of(name), path, None))
    section, _, key = path.rpartition(".")
    # For the library, null is not the same as nothing.
    config = copy.deepcopy(left_out.checkpoint.config)
    del (config[section] if section else config)[key]
    taken = family(config).model_config()
    said = family(changed(config, path, getattr(getattr(taken, section) if section else taken, key)))
    assert (left_out.view, left_out.context) == (said.view, said.context)
    assert left_out.visual_tokens(clip(8, 8, 8)) == said.visual_tokens(clip(8, 8, 8))
    if key != "image_size":  # tiles of another size than the canvases are made for
        assert left_out.visual_tokens(still(480, 640)) == said.visual_tokens(still(480, 640))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    "wrong",
    [{"image_mean": 0.5}, {"image_mean": ["a", "b", "c"]}, {"image_std": [0, 0, 0]}, {"resample": "bicubic"}],
)
@pytest.mark.parametrize("filename", ["preprocessor_config.json", "processor_config.json"])
def test_a_preprocessor_that_is_wrong_is_named(tmp_path, name, wrong, filename):
    content = wrong if filename == "preprocessor_config.json" else {"image_processor": wrong}
    (tmp_path / filename).write_text(json.dumps(content))
    for medium in (clip(8, 8, 8), still(8, 8)):
        with pytest.raises(ModelError, match=rf"^tiny: {filename} says (image_processor\.)?{next(iter(wrong))} = "):
            family(PUBLISHED[name].config, tmp_path).encode(SimpleNamespace(device=None), medium)


@pytest.mark.parametrize("name", ["next-video-7b", "onevision-7b", "llava-video-7b"])
@pytest.mark.parametrize("frames", ["8", 0, [8], 1e9])
def test_a_number_of_frames_that_is_none_is_named(tmp_path, name, frames):
    (tmp_path / "video_preprocessor_config.json").write_text(json.dumps({"num_frames": frames}))
    with pytest.raises(ModelError, match=r"^tiny: video_preprocessor_config\.json says num_frames = "):
        _ = family(PUBLISHED[name].config, tmp_path).view
