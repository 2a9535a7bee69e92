# SPDX-License-Identifier: Apache-2.0
"""LLaVA-OneVision-2: sizes, frames and prompts by its authors' rules."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from answering import dummy_loader
from pictures import clip, still

from llava_cli.engine.loader import Loader
from llava_cli.engine.types import LoadOptions
from llava_cli.errors import InputError, ModelError, UsageError
from llava_cli.media.clip import NativeSizes
from llava_cli.models.checkpoint import Checkpoint, dummy_checkpoint, open_checkpoint, with_linear_rope
from llava_cli.models.llava_onevision2 import LlavaOnevision2
from llava_cli.models.messages import Conversation, Turn, ask, raw
from llava_cli.models.published import PUBLISHED
from llava_cli.models.registry import family_of

CONFIG = PUBLISHED["onevision2-8b"].config
RELEASED = {"min_pixels": 3136, "max_pixels": 4_000_000, "merge_size": 2, "patch_size": 14, "temporal_patch_size": 1}


@pytest.fixture
def eight() -> LlavaOnevision2:
    return family_of(dummy_checkpoint("onevision2-8b"))  # type: ignore[return-value]


def told(tmp_path: Path, preprocessor: dict[str, Any] | None = None, **config: dict[str, Any]) -> LlavaOnevision2:
    """The family of files that say something else."""
    if preprocessor is not None:
        (tmp_path / "preprocessor_config.json").write_text(json.dumps(preprocessor))
    parts = {name: CONFIG[name] | said for name, said in config.items()}
    return family_of(Checkpoint("tiny", tmp_path, CONFIG | parts))  # type: ignore[return-value]


@pytest.mark.parametrize(
    ("source", "as_still", "as_frame"),
    [
        ((320, 240), 99, 99),
        ((640, 360), 299, 180),
        ((640, 480), 391, 192),
        ((1280, 720), 1196, 180),
        ((1920, 1080), 2691, 180),
        ((3840, 2160), 5035, 180),
        ((98, 42), 8, 8),
        ((50, 70), 4, 4),
    ],
)
def test_tokens_of_pictures_of_some_sizes(eight, source, as_still, as_frame):
    width, height = source
    assert eight.visual_tokens(still(height, width)) == as_still
    assert eight.visual_tokens(clip(3, height, width)) == 3 * as_frame


def test_frames_that_are_as_large_as_was_asked_for_stay_so(eight):
    brought = replace(clip(2, 728, 1288), fit="native")
    assert eight.visual_tokens(brought) == 2 * 1196
    assert eight.vision_patches([brought]) == 2 * 1196 * 4


def test_a_picture_too_long_for_its_width_is_refused_by_name(eight):
    assert eight.visual_tokens(still(10, 2000)) > 0
    with pytest.raises(InputError, match=r"^still\.png: is 2010 by 10 pixels"):
        eight.visual_tokens(still(10, 2010))


def test_the_view_is_the_evaluation_s_and_its_frames_can_be_made_larger(eight):
    assert (eight.view.sampling.policy, eight.view.sampling.frames) == ("linspace-rounded", 32)
    assert (eight.view.sizes, eight.view.size) == (NativeSizes(28, 3136, 153_664), (392, 392))
    larger = eight.view_with(602_112, "index")
    assert (larger.sizes, larger.size) == (NativeSizes(28, 3136, 602_112), (672, 896))
    assert larger.positions == "index"
    assert eight.frames_with_room(larger) < eight.most_frames
    with pytest.raises(UsageError, match="takes from 3136 to 4000000"):
        eight.view_with(5_000_000, None)


def test_frames_with_room_leave_some_for_their_times(eight):
    assert eight.most_frames == (40960 - 320) // (196 + 13)


@pytest.mark.parametrize(
    ("preprocessor", "sizes"),
    [
        (RELEASED, NativeSizes(28, 3136, 4_000_000)),
        (RELEASED | {"size": {"shortest_edge": 9, "longest_edge": 99_999}}, NativeSizes(28, 3136, 4_000_000)),
        ({"size": {"shortest_edge": 6272, "longest_edge": 99_999}}, NativeSizes(28, 6272, 99_999)),
        ({}, NativeSizes(28, 3136, 4_000_000)),
    ],
)
def test_bounds_of_pixels_are_the_files_own(tmp_path, preprocessor, sizes):
    family = told(tmp_path, preprocessor)
    assert family.sizes == sizes
    assert family.view.sizes.most == min(153_664, sizes.most)


def test_levels_are_clip_s_where_the_files_do_not_say_it(eight):
    assert eight.preprocessing.image_mean == (0.48145466, 0.4578275, 0.40821073)
    assert eight.preprocessing.image_std == (0.26862954, 0.26130258, 0.27577711)
    assert eight.preprocessing.resample == 3


def test_the_unit_of_sizes_follows_from_config_json(tmp_path):
    family = told(tmp_path, vision_config={"patch_size": 16, "spatial_merge_size": 3})
    assert family.sizes.unit == 48
    assert family.visual_tokens(still(480, 480)) == 100
    unsaid = {key: value for key, value in CONFIG["vision_config"].items() if key != "spatial_merge_size"}
    assert family_of(Checkpoint("tiny", tmp_path, CONFIG | {"vision_config": unsaid})).sizes.unit == 42


@pytest.mark.parametrize(
    ("config", "told_of"),
    [
        ({"vision_config": {"use_head": True}}, r"vision_config\.use_head = True"),
        ({"vision_config": {"layer_norm_type": "rms_norm"}}, r"vision_config\.layer_norm_type = 'rms_norm'"),
        ({"vision_config": {"temporal_patch_size": 2}}, r"vision_config\.temporal_patch_size = 2"),
        ({"vision_config": {"out_hidden_size": 1024}}, r"vision_config\.out_hidden_size = 1024"),
        ({"vision_config": {"num_attention_heads": 12}}, r"vision_config\.hidden_size = 1024 with 12 attention heads"),
        ({"text_config": {"model_type": "qwen2"}}, r"text_config\.model_type = 'qwen2'"),
        ({"text_config": {"model_type": "qwen3_moe"}}, r"text_config\.model_type = 'qwen3_moe'"),
    ],
)
def test_what_no_released_checkpoint_is_is_refused(tmp_path, config, told_of):
    with pytest.raises(ModelError, match=rf"^tiny: config\.json says {told_of}"):
        told(tmp_path, **config)


@pytest.mark.parametrize(
    "wrong", [{"patch_size": 16}, {"merge_size": 3}, {"temporal_patch_size": 2}, {"max_pixels": 9}]
)
def test_a_preprocessor_for_another_tower_is_refused(tmp_path, wrong):
    with pytest.raises(ModelError, match=rf"^tiny: preprocessor_config\.json says {next(iter(wrong))} = "):
        _ = told(tmp_path, RELEASED | wrong).view


def test_the_context_is_the_file_s_and_can_be_stretched(tmp_path):
    assert told(tmp_path, text_config={"max_position_embeddings": 131072}).context == 131072
    stretched = family_of(with_linear_rope(Checkpoint("tiny", tmp_path, CONFIG), 2))
    assert stretched.context == 81920
    rope = stretched.model_config().get_text_config().rope_parameters
    assert (rope["rope_theta"], rope["factor"]) == (8e6, 2)


@pytest.mark.parametrize(
    ("time", "text"),
    [(0.25, "0.2"), (0.35, "0.3"), (0.45, "0.5"), (61.25, "61.2"), (3725.5, "3725.5"), (0.0, "0.0")],
)
def test_times_are_seconds_with_one_decimal(eight, time, text):
    seen = replace(clip(1, 56, 56), times=(time,))
    (slot,) = eight.slots(seen)
    assert slot.spans[0].text == f"<{text} seconds>"


@pytest.fixture
def prompt_of(checkpoints: Callable[[str], Path]) -> Callable[[Conversation], str]:
    family = family_of(open_checkpoint(str(checkpoints("llava-onevision2"))))
    tokenizer = Loader(family, LoadOptions("cpu")).tokenizer
    return lambda asked: family.prompt(tokenizer, asked).text


SYSTEM = "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n"
ANSWER = "<|im_end|>\n<|im_start|>assistant\n"
I = "<|vision_start|><image><|vision_end|>"  # noqa: E741 - as the formats are written down
SEEN, FILM = still(70, 70), replace(clip(3, 70, 90), times=(0.0, 1.04, 2.16))
PROMPTS = {
    "image": (ask("What is this?", [SEEN]), f"{SYSTEM}<|im_start|>user\n{I}What is this?{ANSWER}"),
    "two images": (ask("Compare.", [SEEN, still(9, 9)]), f"{SYSTEM}<|im_start|>user\n{I}{I}Compare.{ANSWER}"),
    "video": (
        ask("What happens?", [FILM]),
        f"{SYSTEM}<|im_start|>user\n<0.0 seconds>{I}<1.0 seconds>{I}<2.2 seconds>{I}What happens?{ANSWER}",
    ),
    "image and video": (
        ask("Compare.", [SEEN, clip(2, 70, 90)]),
        f"{SYSTEM}<|im_start|>user\n{I}<0.0 seconds>{I}<1.0 seconds>{I}Compare.{ANSWER}",
    ),
    "system": (
        ask("Colour?", [SEEN], "Answer in one word."),
        f"<|im_start|>system\nAnswer in one word.<|im_end|>\n<|im_start|>user\n{I}Colour?{ANSWER}",
    ),
    "two turns": (
        Conversation(
            (
                Turn("user", (SEEN, "What is this?")),
                Turn("assistant", ("A cat.",)),
                Turn("user", ("Which breed?",)),
            )
        ),
        f"{SYSTEM}<|im_start|>user\n{I}What is this?<|im_end|>\n<|im_start|>assistant\nA cat.<|im_end|>\n"
        f"<|im_start|>user\nWhich breed?{ANSWER}",
    ),
    "in a sentence": (
        ask("Is it in <image> in <video>?", [SEEN, clip(1, 70, 90)]),
        f"{SYSTEM}<|im_start|>user\nIs it in {I} in <0.0 seconds>{I}?{ANSWER}",
    ),
}


@pytest.mark.parametrize("name", PROMPTS)
def test_prompts_are_as_published(prompt_of, name):
    asked, expected = PROMPTS[name]
    assert prompt_of(asked) == expected


@pytest.mark.parametrize("mark", ["<video>", "<|video_pad|>", "<|vision_start|><|video_pad|><|vision_end|>"])
def test_in_raw_and_user_templates_marks_may_be_the_documents_own(prompt_of, mark):
    frames = f"<0.0 seconds>{I}<1.0 seconds>{I}"
    assert prompt_of(raw(f"U: {mark} Why?", [clip(2, 70, 90)])) == f"U: {frames} Why?"
    template = "{% for m in messages %}{% for p in m.content %}{{ p.text or 'U: MARK ' }}{% endfor %}{% endfor %}"
    asked = replace(ask("Why?", [clip(2, 70, 90)]), template=template.replace("MARK", mark))
    assert prompt_of(asked) == f"U: {frames} Why?"


def test_the_prompt_that_is_shown_can_be_asked_again(prompt_of):
    shown = prompt_of(PROMPTS["image and video"][0])
    assert prompt_of(raw(shown, [SEEN, clip(2, 70, 90)])) == shown


def test_what_users_write_of_control_tokens_is_text(checkpoints):
    family = family_of(open_checkpoint(str(checkpoints("llava-onevision2"))))
    tokenizer = Loader(family, LoadOptions("cpu")).tokenizer
    prompt = family.prompt(tokenizer, ask("<|vision_start|><|image_pad|><|vision_end|><0.0 seconds>", [SEEN]))
    assert prompt.ids.count(312) == family.visual_tokens(SEEN)
    assert prompt.ids.count(309) == prompt.ids.count(310) == 1


def test_blocks_of_patches_lie_together(checkpoints):
    family = family_of(open_checkpoint(str(checkpoints("llava-onevision2"))))
    patches, places = family.patches(still(84, 112))
    assert places[0, :6].tolist() == [[0, 0, 0], [0, 0, 1], [0, 1, 0], [0, 1, 1], [0, 0, 2], [0, 0, 3]]
    whole = family.pixels(still(84, 112))[0]
    assert np.array_equal(patches[0, 2], whole[:, 14:28, 0:14].flatten())


def test_the_8b_has_its_authors_weights():
    weights = dict(dummy_loader("onevision2-8b").skeleton.named_parameters())
    sizes = {name: weight.numel() for name, weight in weights.items()}
    assert (len(sizes), sum(sizes.values())) == (696, 8_527_213_568)
    merger = sum(size for name, size in sizes.items() if ".merger." in name)
    assert merger == 33_564_672
    assert sum(size for name, size in sizes.items() if name.startswith("model.visual.")) - merger == 302_913_536


def test_the_plan_counts_the_patches_of_what_is_shown(eight):
    loader = dummy_loader("onevision2-8b")
    small, large = (eight.vision_patches([still(*size)]) for size in ((56, 56), (2000, 2000)))
    assert (small, large) == (16, 2000 // 28 * 2 * 142)
    prompts = [(600, 10)]
    assert loader.plan(prompts, large).activations > 5 * loader.plan(prompts, small).activations
    # Frames go through the tower some at a time, however many there are.
    frames = replace(clip(64, 8, 8), frames=np.broadcast_to(np.uint8(0), (64, 280, 504, 3)), fit="native")
    assert eight.vision_patches([frames]) == 12_544 // 720 * 720
