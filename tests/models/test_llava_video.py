# SPDX-License-Identifier: Apache-2.0
"""LLaVA-Video: the original authors' numbers from their own files, and what a checkpoint's config says.

`tests/data/llava_video.npz` holds what their code (github.com/LLaVA-VL/LLaVA-NeXT at df17966) computes with the random
weights in `llava_video.safetensors`, in float32 on the CPU.
"""

from __future__ import annotations

import dataclasses
import json
import re
from pathlib import Path

import numpy as np
import pytest
import recipes
import tiny_qwen
import torch
from answering import answers_of, engine_of, layers_in_4_bit, mixed_asks, text_of
from pictures import altered, clip, still
from safetensors.torch import load_file, save_file

from llava_cli.engine.local import LocalEngine
from llava_cli.errors import ModelError
from llava_cli.models.checkpoint import Checkpoint
from llava_cli.models.llava_video import LlavaVideo
from llava_cli.models.messages import ask
from llava_cli.models.onevision import Onevision
from llava_cli.models.registry import family_of

DATA = Path(__file__).parents[1] / "data"
# The tower that the vectors were made with.
TOWER = tiny_qwen.VISION | {"image_size": 384, "num_hidden_layers": 3, "num_attention_heads": 4}


@pytest.fixture(scope="module")
def expected() -> dict[str, np.ndarray]:
    with np.load(DATA / "llava_video.npz") as arrays:
        return dict(arrays)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_qwen.make_llava_video(tmp_path_factory.mktemp("llava_video"))


# The authors' numbers


@pytest.mark.parametrize(
    ("mode", "newlines"),
    [
        ("bilinear", "grid"),
        ("bilinear", "frame"),
        ("bilinear", "one_token"),
        ("bilinear", "no_token"),
        ("average", "grid"),
        ("max", "grid"),
    ],
)
def test_visual_tokens_logits_and_answers_are_the_authors(tmp_path, expected, mode, newlines):
    folder = tiny_qwen.make_llava_video(
        tmp_path,
        load_file(DATA / "llava_video.safetensors"),
        vision_config=TOWER,
        mm_spatial_pool_mode=mode,
        mm_newline_position=newlines,
    )
    engine = engine_of(folder, dtype="float32")
    assert isinstance(engine.family, LlavaVideo)
    seen = dataclasses.replace(clip(*expected["frames"].shape[:3]), frames=expected["frames"])
    assert np.abs(engine.family.clip_pixels(seen)[:, :, ::6, ::6].numpy() - expected["pixel_values_sub"]).max() < 1e-6
    with torch.inference_mode():
        visual = engine.family.encode(engine._model, seen)
    vector = expected[f"vis_{mode}_{newlines}"]
    assert visual.shape == vector.shape
    assert len(visual) == engine.family.visual_tokens(seen)
    assert np.abs(visual.numpy() - vector).max() < 2e-5
    if (mode, newlines) == ("bilinear", "grid"):
        check_language(engine, visual, expected)


def check_language(engine: LocalEngine, visual: torch.Tensor, expected: dict[str, np.ndarray]) -> None:
    """The logits after the video, and the answer."""
    embed = engine._model.get_input_embeddings()
    before, after = (embed(torch.from_numpy(expected[name])) for name in ("ids_pre", "ids_post"))
    prompt = torch.cat((before, visual, after))[None]
    with torch.inference_mode():
        logits = engine._model(inputs_embeds=prompt).logits[0, -len(after) :]
        answer = engine._model.generate(
            inputs_embeds=prompt, attention_mask=torch.ones(prompt.shape[:2]), max_new_tokens=12, do_sample=False
        )
    assert np.abs(logits.numpy() - expected["logits_tail"]).max() < 1e-4
    assert answer[0].tolist() == expected["greedy"].tolist()


@pytest.mark.parametrize("mode", ["bilinear", "average", "max"])
@pytest.mark.parametrize("newlines", ["grid", "frame", "one_token", "no_token"])
def test_long_clips_are_encoded_in_parts_to_as_many_features_as_placeholders(engine, monkeypatch, mode, newlines):
    family = LlavaVideo(
        Checkpoint(
            "test",
            engine.family.checkpoint.folder,
            tiny_qwen.original_config(mm_spatial_pool_mode=mode, mm_newline_position=newlines),
        )
    )
    monkeypatch.setattr(engine._model.config, "mm_spatial_pool_mode", mode)
    monkeypatch.setattr(engine._model.config, "mm_newline_position", newlines)
    long = clip(18, 70, 70)
    with torch.inference_mode():
        whole = engine._model.get_video_features(family.clip_pixels(long)[None]).pooler_output[0]
        assert torch.allclose(family.encode(engine._model, long), whole, atol=1e-5)
    assert len(whole) == family.visual_tokens(long)


# The engine's answers


def test_answers_are_those_of_the_model_s_own_forward(engine):
    """The prompt as one string, pixels to `generate`: nothing of this project but the model class."""
    seen = clip(3, 90, 120)
    prompt = engine.family.prompt(engine._tokenizer, ask("Why?", [seen]))
    own, of_model = engine.family.placeholder_ids["video"], engine._model.config.video_token_id
    assert own == of_model == 151647
    # An id within the tiny vocabulary, which the model looks up before it puts the features there.
    stand_in = 0
    assert stand_in not in prompt.ids
    ids = torch.tensor([[stand_in if number == own else number for number in prompt.ids]])
    engine._model.config.video_token_id = stand_in
    try:
        pixels = engine.family.clip_pixels(seen)[None]
        expected = recipes.generated(engine._model, engine._tokenizer, ids, pixel_values_videos=pixels)
    finally:
        engine._model.config.video_token_id = of_model
    assert text_of(engine, [seen]) == expected


def test_answers_depend_on_frames_order_times_colours_and_question(engine):
    seen = clip(8, 70, 70)
    later = tuple(time + 0.5 for time in seen.times)
    answers = {name: text_of(engine, [other]) for name, other in altered(seen).items()}
    answers["half a second later"] = text_of(engine, [dataclasses.replace(seen, times=later)])
    answers["another question"] = text_of(engine, [seen], "How?")
    assert len(set(answers.values())) == len(answers)


def test_a_batch_answers_as_one_by_one(engine):
    asks = mixed_asks(70)
    single = [answers_of(engine, [one])[0].text for one in asks]
    assert [answer.text for answer in answers_of(engine, asks)] == single


def test_a_saved_model_is_recognised_again_and_answers_the_same(engine, tmp_path):
    engine._model.save_pretrained(tmp_path)
    engine._tokenizer.save_pretrained(tmp_path)
    saved = json.loads((tmp_path / "config.json").read_text())
    assert saved["model_type"] == "llava_onevision"
    again = engine_of(tmp_path, dtype="float32")
    assert isinstance(again.family, LlavaVideo)
    media = [clip(3, 70, 70), still(100, 60)]
    assert text_of(again, media) == text_of(engine, media)


def test_conversions_under_the_older_weight_names_answer_the_same(engine, folder, tmp_path):
    """As converters of LLaVA-OneVision write them."""
    config = engine._model.config.to_dict() | {"architectures": ["LlavaOnevisionForConditionalGeneration"]}
    (tmp_path / "config.json").write_text(json.dumps(config))
    weights = {}
    for name, weight in engine._model.state_dict().items():
        name = re.sub(r"^model\.(vision_tower)\.", r"\1.vision_model.", name)
        name = re.sub(r"^model\.language_model\.", "language_model.model.", name)
        weights[re.sub(r"^lm_head\.", "language_model.lm_head.", name).removeprefix("model.")] = weight
    save_file(weights, tmp_path / "model.safetensors", {"format": "pt"})
    engine._tokenizer.save_pretrained(tmp_path)
    again = engine_of(tmp_path, dtype="float32")
    assert isinstance(again.family, LlavaVideo)
    assert text_of(again, [clip(3, 70, 70)]) == text_of(engine, [clip(3, 70, 70)])


def test_4_bit_answers_on_the_cpu_and_survives_saving(folder, tmp_path):
    engine = engine_of(folder, dtype="float32", quantization="4bit")
    quantized = layers_in_4_bit(engine)
    assert quantized
    assert all(name.startswith("model.language_model.") for name in quantized)
    answer = text_of(engine, [clip(3, 70, 70)])
    assert answer
    engine._model.save_pretrained(tmp_path)
    engine._tokenizer.save_pretrained(tmp_path)
    assert text_of(engine_of(tmp_path, dtype="float32"), [clip(3, 70, 70)]) == answer


# The checkpoint's own words

ORIGINAL = {key: value for key, value in tiny_qwen.original_config().items() if key != "vision_config"}
FIRST_ONEVISION = {
    key: value for key, value in ORIGINAL.items() if key not in ("mm_newline_position", "add_time_instruction")
}
CONVERTED = {"model_type": "llava_onevision", "vision_config": {}, "text_config": {"model_type": "qwen2"}}


@pytest.mark.parametrize(
    ("config", "family"),
    [
        (ORIGINAL, LlavaVideo),
        (ORIGINAL | {"model_type": "llava_qwen"}, LlavaVideo),
        (ORIGINAL | {"mm_vision_tower": "/home/me/siglip-so400m-patch14-384"}, LlavaVideo),
        (CONVERTED | {"mm_newline_position": "grid"}, LlavaVideo),
        (CONVERTED | {"mm_spatial_pool_mode": "average"}, LlavaVideo),
        (CONVERTED | {"architectures": ["LlavaVideoForConditionalGeneration"]}, LlavaVideo),
        (CONVERTED, Onevision),
        (CONVERTED | {"_name_or_path": "someone/LLaVA-Video-7B-Qwen2-hf"}, Onevision),
        (FIRST_ONEVISION, None),
        (ORIGINAL | {"architectures": ["LlavaMistralForCausalLM"]}, None),
        (ORIGINAL | {"mm_vision_tower": "openai/clip-vit-large-patch14-336"}, None),
        (ORIGINAL | {"mm_patch_merge_type": "flat"}, None),
        (ORIGINAL | {"mm_use_im_start_end": True}, None),
        (ORIGINAL | {"add_faster_video": True}, None),
        (ORIGINAL | {"mm_resampler_type": "spatial_pool"}, None),
    ],
)
def test_a_checkpoint_s_family_is_what_its_config_says(config, family):
    checkpoint = Checkpoint("LLaVA-Video-7B-Qwen2", Path("LLaVA-Video-7B-Qwen2"), config)
    if family is None:
        with pytest.raises(ModelError, match="supported families"):
            family_of(checkpoint)
    else:
        assert type(family_of(checkpoint)) is family


@pytest.mark.parametrize("key", ["mm_spatial_pool_mode", "mm_newline_position"])
def test_what_no_released_code_does_is_refused(key):
    with pytest.raises(ModelError, match=f"{key} = 'spiral'"):
        LlavaVideo(Checkpoint("test", Path("nowhere"), ORIGINAL | {key: "spiral"}))


def test_the_7b_s_geometry():
    seven = LlavaVideo(Checkpoint("test", Path("nowhere"), ORIGINAL | {"max_position_embeddings": 32768}))
    assert seven.view.size == (384, 384)
    assert seven.view.fit == "squash"
    assert (seven.view.sampling.policy, seven.view.sampling.frames) == ("linspace", 64)
    assert seven.visual_tokens(clip(64, 384, 384)) == 64 * 210
    assert seven.context == 32768
    assert seven.placeholder_ids == {"video": 151647, "image": 151646}
    assert not seven.supports_float16


@pytest.mark.parametrize(
    ("mode", "newlines", "tokens"),
    [
        (None, None, 210),
        ("average", "grid", 182),
        ("max", "frame", 170),
        ("bilinear", "frame", 197),
        ("bilinear", "one_token", 197),
        ("average", "no_token", 169),
    ],
)
def test_tokens_of_a_frame(mode, newlines, tokens):
    settings = {"mm_spatial_pool_mode": mode, "mm_newline_position": newlines}
    family = LlavaVideo(Checkpoint("test", Path("nowhere"), ORIGINAL | settings))
    assert family.visual_tokens(clip(1, 384, 384)) == tokens


def test_ids_that_a_conversion_chose():
    config = CONVERTED | {"mm_newline_position": "grid", "video_token_index": 7, "image_token_index": 8}
    assert LlavaVideo(Checkpoint("test", Path("nowhere"), config)).placeholder_ids == {"video": 7, "image": 8}


def test_canvases_are_read_as_width_and_height():
    family = LlavaVideo(Checkpoint("test", Path("nowhere"), ORIGINAL | {"image_grid_pinpoints": [[384, 768]]}))
    assert family.checkpoint.config["image_grid_pinpoints"] == [[768, 384]]
