# SPDX-License-Identifier: Apache-2.0
"""What of a config.json reaches the library: what the model is made of, in sane ranges, and nothing else."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import hub_files
import pytest

from llava_cli.engine.loader import Loader
from llava_cli.engine.types import LoadOptions
from llava_cli.errors import ModelError
from llava_cli.models.checkpoint import Checkpoint, open_checkpoint
from llava_cli.models.family import Family
from llava_cli.models.published import PUBLISHED
from llava_cli.models.registry import family_of

NAMES = ["next-video-7b", "video-llava-7b", "interleave-7b", "onevision-7b", "llava-video-7b", "onevision2-8b"]
# What the released files say beside what the model is made of: training, saving, and the generation that is our own.
WITHOUT_EFFECT = {
    "_name_or_path", "add_cross_attention", "add_time_instruction", "architectures", "dtype", "factor", "ignore_index",
    "is_decoder", "label2id", "prefix", "pretraining_tp", "pruned_heads", "tokenizer_class", "torchscript", "type",
    "use_bfloat16", "use_cache",
}  # fmt: skip
# The vision tower has no words.
WITHOUT_EFFECT_IN_FULL = {"vision_config.vocab_size"}


def family(config: dict[str, Any]) -> Family:
    return family_of(Checkpoint("tiny", Path("nowhere"), config))


def whole(name: str) -> dict[str, Any]:
    """A published config.json, in the layout that the family reads."""
    return copy.deepcopy(family(PUBLISHED[name].config).checkpoint.config)


def flat(config: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Settings by their paths."""
    found: dict[str, Any] = {}
    for key, value in config.items():
        found |= flat(value, f"{key}.") if key in ("text_config", "vision_config") else {prefix + key: value}
    return found


@pytest.mark.parametrize("name", [name for name in hub_files.FILES if name != "llava-video-72b-if-faster"])
def test_released_files_make_the_models_that_they_made(tmp_path, name):
    own = family_of(open_checkpoint(str(hub_files.write(name, tmp_path))))
    filtered = flat(own.model_config().to_dict())
    everything = flat(own.model_class().config_class.from_dict(dict(own.checkpoint.config)).to_dict())
    different = {key for key in filtered | everything if filtered.get(key, ...) != everything.get(key, ...)}
    assert {key for key in different if key.rpartition(".")[2] not in WITHOUT_EFFECT} <= WITHOUT_EFFECT_IN_FULL


HOSTILE = {
    "attn_implementation": "owner/kernel", "_attn_implementation": "owner/kernel",
    "_attn_implementation_internal": "owner/kernel", "_experts_implementation": "owner/kernel",
    "experts_implementation": "owner/kernel", "use_kernels": True, "kernel_config": {"x": "owner/kernel"},
    "auto_map": {"AutoModel": "x.Evil", "AutoConfig": "x.Evil"}, "transformers_weights": "evil.bin",
    "pruned_heads": {"0": [0]}, "num_labels": 10**9, "fusion_config": {"patch_embeddings": True},
    "per_layer_config": {"0": {"hidden_size": 7}}, "torch_dtype": "save", "dtype": "load", "_name_or_path": "owner/x",
    "name_or_path": "owner/x", "custom_generate": "owner/x", "configuration_files": ["evil.json"],
    "output_attentions": True, "output_hidden_states": True, "return_dict": False, "distributed_config": {"tp_size": 2},
    "gguf_file": "x", "is_encoder_decoder": True, "base_model_tp_plan": {"*": "x"}, "chunk_size_feed_forward": 1,
    "id2label": {"x": 1}, "problem_type": "regression", "use_return_dict": False, "quantization": {"x": 1},
}  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("part", [None, "text_config", "vision_config"])
def test_what_the_model_is_not_made_of_has_no_say(name, part):
    plain = whole(name)
    hostile = copy.deepcopy(plain)
    (hostile[part] if part else hostile).update(HOSTILE)
    made, wanted = (family(config).model_config() for config in (hostile, plain))
    assert made.to_dict() == wanted.to_dict()
    assert made._attn_implementation == wanted._attn_implementation
    parts = [(own.get_text_config(), own.vision_config) for own in (made, wanted)]
    assert [p._attn_implementation for p in parts[0]] == [p._attn_implementation for p in parts[1]]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("text_config.num_hidden_layers", 10**9),
        ("text_config.hidden_size", 10**12), ("text_config.vocab_size", 10**10),
        ("text_config.num_attention_heads", 10**6), ("text_config.head_dim", 10**9), ("text_config.head_dim", 1),
        ("text_config.intermediate_size", -1), ("text_config.hidden_act", "owner/kernel"),
        ("text_config.rms_norm_eps", 1e308), ("text_config.layer_types", ["evil"]),
        ("text_config.layer_types", ["full_attention"] * 10**6), ("text_config.rope_scaling", {"rope_type": "evil"}),
        ("text_config.rope_scaling", {"type": "linear", "factor": float("inf")}),
        ("text_config.eos_token_id", list(range(1000))), ("vision_config.num_hidden_layers", 10**9),
        ("vision_config.image_size", 10**6), ("vision_config.num_channels", 4), ("vision_config.hidden_size", 1e9),
        ("vision_config.patch_size", 0), ("image_grid_pinpoints", [[336 * 384, 336 * 384 * 10**6]]),
        ("image_grid_pinpoints", [[336 * 384] * 2] * 10**5), ("vision_feature_layer", [-1] * 10**6),
        ("image_seq_length", -1), ("projector_hidden_act", "evil"), ("tie_word_embeddings", "perhaps"),
    ],
)  # fmt: skip
def test_what_is_out_of_range_is_named(name, path, value):
    config = whole(name)
    part, _, key = path.rpartition(".")
    (config[part] if part else config)[key] = value
    with pytest.raises(ModelError, match=rf"^tiny: config\.json says {path}[^\n]* = [^\n]*; it must be [^\n]+$"):
        family(config)


@pytest.mark.parametrize(
    "said",
    [
        {"quant_method": "gptq", "bits": 4}, {"quant_method": "awq"}, {"quant_method": "bitsandbytes"}, {"bits": 4},
        {"quant_method": "evil", "load_in_4bit": True}, {"load_in_4bit": True, "bnb_4bit_compute_dtype": "load"},
        {"load_in_4bit": True, "bnb_4bit_quant_type": "evil"}, {"load_in_8bit": "evil"}, [1], "gptq",
        {"load_in_4bit": True, "llm_int8_skip_modules": ["(a+)+$"]},
        {"load_in_4bit": True, "llm_int8_skip_modules": [".*.*.*.*.*.*x"]},
    ],
)  # fmt: skip
def test_weights_are_quantized_by_bitsandbytes_or_not_at_all(said):
    with pytest.raises(ModelError, match=r"^tiny: config\.json"):
        family(whole("next-video-7b") | {"quantization_config": said})


def test_what_bitsandbytes_is_told_is_what_it_knows():
    said = {"quant_method": "bitsandbytes", "load_in_4bit": True, "bnb_4bit_quant_type": "nf4"}
    config = whole("next-video-7b") | {"quantization_config": said | {"_load_in_4bit": True, "modules": "evil"}}
    assert family(config).model_config().quantization_config == said
    assert not hasattr(family(whole("next-video-7b") | {"quantization_config": None}).model_config(), "evil")


@pytest.mark.parametrize("changed", [{"num_key_value_heads": 5}, {"head_dim": 33}])
def test_heads_that_do_not_go_together_are_told_before_anything_is_read(changed):
    config = whole("next-video-7b")
    config["text_config"] |= changed
    with pytest.raises(ModelError, match=r"^tiny: [^\n]*(3 attention heads|32 attention heads|odd|even|head_dim)"):
        Loader(family(config), LoadOptions(device="cpu"))


def test_the_largest_model_that_may_be_is_counted_and_not_made():
    config = whole("next-video-7b")
    config["text_config"] |= {"hidden_size": 1 << 17, "num_hidden_layers": 512, "intermediate_size": 1 << 19}
    assert Loader(family(config), LoadOptions(device="cpu")).parameters > 10**14
