# SPDX-License-Identifier: Apache-2.0
"""What every family promises. A new family needs a row in CASES, a tiny checkpoint and its published recipe."""

from __future__ import annotations

import dataclasses
import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import recipes
import torch
from answering import answers_of, engine_of, layers_in_4_bit, mixed_asks, saved_with_its_files, spread_loader, text_of
from pictures import altered, clip, still
from PIL import Image
from recipes import Recipe
from safetensors.torch import load_file
from tiny.parts import rename_weights_as_of_old

from llava_cli.engine.loader import Loader
from llava_cli.engine.local import LocalEngine
from llava_cli.engine.types import LoadOptions
from llava_cli.media.clip import Clip, Media, Still
from llava_cli.models.checkpoint import dummy_checkpoint, open_checkpoint
from llava_cli.models.messages import Conversation, Turn, ask
from llava_cli.models.registry import FAMILIES, family_of

SEEN = clip(2, 60, 90)
TIMES = (
    "The video lasts for 2.00 seconds, and 2 frames are uniformly sampled from it. "
    "These frames are located at 0.00s,1.00s.Please answer the following questions related to this video.\n"
)
ASKED = {
    "a video": ask("Why?", [SEEN]),
    "mixed media": ask("Compare.", [still(70, 70), still(70, 90, 1), SEEN]),
    "three turns": Conversation(
        (
            Turn("system", ("Be brief.",)),
            Turn("user", (still(50, 70), "What is it?")),
            Turn("assistant", ("A cat.",)),
            Turn("user", ("Are you sure?",)),
            Turn("assistant", ("Yes.",)),
            Turn("user", (SEEN, "And here?")),
        )
    ),
}
VICUNA = {
    "a video": "USER: <video>\nWhy? ASSISTANT:",
    "mixed media": "USER: <image>\n<image>\n<video>\nCompare. ASSISTANT:",
    "three turns": "Be brief. USER: <image>\nWhat is it? ASSISTANT: A cat.</s>USER: Are you sure? ASSISTANT: Yes.</s>"
    "USER: <video>\nAnd here? ASSISTANT:",
}
# The hub's conversions end the assistant's turns with a space.
VICUNA_OF_THE_HUB = {name: text.replace("</s>", " ") for name, text in VICUNA.items()}
SYSTEM = "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n"
QWEN = {
    "a video": SYSTEM + "<|im_start|>user\n<video>\nWhy?<|im_end|>\n<|im_start|>assistant\n",
    "mixed media": SYSTEM + "<|im_start|>user\n<image>\n<image>\n<video>\nCompare.<|im_end|>\n<|im_start|>assistant\n",
    "three turns": "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\n<image>\nWhat is it?<|im_end|>\n"
    "<|im_start|>assistant\nA cat.<|im_end|>\n<|im_start|>user\nAre you sure?<|im_end|>\n"
    "<|im_start|>assistant\nYes.<|im_end|>\n<|im_start|>user\n<video>\nAnd here?<|im_end|>\n<|im_start|>assistant\n",
}
QWEN_WITH_TIMES = {name: text.replace("<video>\n", f"<video>\n{TIMES}") for name, text in QWEN.items()}
QWEN_OF_THE_HUB = {
    "a video": "<|im_start|>user <video>\nWhy?<|im_end|><|im_start|>assistant\n",
    "mixed media": "<|im_start|>user <image><image><video>\nCompare.<|im_end|><|im_start|>assistant\n",
    "three turns": "<|im_start|>system \nBe brief.<|im_end|><|im_start|>user <image>\nWhat is it?<|im_end|>"
    "<|im_start|>assistant \nA cat.<|im_end|><|im_start|>user \nAre you sure?<|im_end|>"
    "<|im_start|>assistant \nYes.<|im_end|><|im_start|>user <video>\nAnd here?<|im_end|><|im_start|>assistant\n",
}
INTERLEAVE = {
    "a video": "<|im_start|>user\n<image><image>\nWhy?<|im_end|>\n<|im_start|>assistant\n",
    "mixed media": "<|im_start|>user\n<image><image><image><image>\nCompare.<|im_end|>\n<|im_start|>assistant\n",
    "three turns": QWEN["three turns"].replace("<video>", "<image><image>"),
}
# The hub's template breaks the line before every text.
INTERLEAVE_OF_THE_HUB = {name: re.sub(r"(\w)\n(\w)", r"\1\n\n\2", text) for name, text in INTERLEAVE.items()}

WITH_TIMES = "".join(f"<{second}.0 seconds><|vision_start|><image><|vision_end|>" for second in range(2))
ONEVISION2 = {
    name: text.replace("<image>\n", "<|vision_start|><image><|vision_end|>").replace("<video>\n", WITH_TIMES)
    for name, text in QWEN.items()
}


def stills_first(media: list[Media]) -> list[Media]:
    return [*filter(lambda m: isinstance(m, Still), media), *filter(lambda m: isinstance(m, Clip), media)]


def marks(media: list[Media]) -> str:
    return "".join(f"<{m.info.kind}>\n" for m in stills_first(media))


def marks_with_times(media: list[Media]) -> str:
    told = (times_of(m) if isinstance(m, Clip) else "" for m in stills_first(media))
    return "".join(f"<{m.info.kind}>\n" + times for m, times in zip(stills_first(media), told, strict=True))


def times_of(seen: Clip) -> str:
    count = len(seen.frames)
    times = ",".join(f"{second}.00s" for second in range(count))
    return TIMES.replace("2.00 seconds, and 2", f"{count}.00 seconds, and {count}").replace("0.00s,1.00s", times)


def marks_side_by_side(media: list[Media]) -> str:
    return marks(media).replace("\n", "") + "\n"


def marks_for_pictures(media: list[Media]) -> str:
    return "".join("<image>" * (len(m.frames) if isinstance(m, Clip) else 1) for m in media) + "\n"


def marks_of_frames_with_times(media: list[Media]) -> str:
    picture = "<|vision_start|><image><|vision_end|>"
    told = ([f"<{time:.1f} seconds>" for time in m.times] if isinstance(m, Clip) else [""] for m in media)
    return "".join(time + picture for times in told for time in times)


def video_features(engine: LocalEngine, seen: Clip) -> torch.Tensor:
    return engine._model.get_video_features(engine.family.clip_pixels(seen)[None]).pooler_output[0]


def picture_features(engine: LocalEngine, seen: Clip) -> torch.Tensor:
    return torch.cat(list(engine._model.get_image_features(engine.family.pixels(seen)).pooler_output))


def frames_one_by_one(engine: LocalEngine, seen: Clip) -> torch.Tensor:
    parts = (part.split(1) for part in engine.family.patches(seen))
    return torch.cat([engine._model.get_image_features(*one) for one in zip(*parts, strict=True)]).flatten(0, 1)


def frames_with_class_tokens(engine: LocalEngine, seen: Clip) -> torch.Tensor:
    return engine._model.model.get_video_features(engine.family.pixels(seen)[None]).pooler_output.flatten(0, 1)


@dataclass(frozen=True)
class Case:
    """What is peculiar to a family in the tests that all pass."""

    family: str
    recipe: Callable[[Path], Recipe]
    prompt: str
    """What its tiny checkpoint reads before an answer, with {} for the media."""
    marks: Callable[[list[Media]], str]
    """What stands there for some media."""
    hub_prompts: dict[str, str]
    """Of the conversations in ASKED, by the tiny checkpoint's own template."""
    family_prompts: dict[str, str]
    """By the template that the family brings along."""
    size: int
    """Edge in pixels of what the tiny checkpoint sees."""
    visual_tokens: list[tuple[int, ...]]
    """Of the media of `mixed_asks`, in the order in which the prompts show them."""
    published: str
    """The short name of the checkpoint whose geometry follows."""
    view: tuple[tuple[int, int], str, str, int]
    """Size, fit, policy and number of frames."""
    context: int
    placeholder_ids: dict[str, int]
    clip_tokens: int
    """Of a clip as the view says."""
    still_tokens: dict[tuple[int, int], int]
    """Of stills of some sizes."""
    template: str = "checkpoint"
    features: Callable[[LocalEngine, Clip], torch.Tensor] = video_features
    """What the model itself makes of all pixels of a clip at once."""
    more_media: tuple[list[Media], ...] = ()
    in_order: bool = False
    """Whether its published template shows media where they stand."""

    def __str__(self) -> str:
        return self.family


CASES = [
    Case(
        family="llava-next-video",
        recipe=recipes.llava_next_video,
        prompt="USER: {}Why? ASSISTANT:",
        marks=marks,
        hub_prompts=VICUNA_OF_THE_HUB,
        family_prompts=VICUNA,
        size=56,
        visual_tokens=[(32,), (70, 12), (34,), (), (4,)],
        published="next-video-7b",
        view=((336, 336), "crop", "uniform", 32),
        context=10240,
        placeholder_ids={"video": 32000, "image": 32001},
        clip_tokens=4608,
        still_tokens={(336, 336): 576 + 24 * (24 + 1), (480, 640): 576 + 36 * (48 + 1)},
    ),
    Case(
        family="video-llava",
        recipe=recipes.video_llava,
        prompt="USER: {}Why? ASSISTANT:",
        marks=marks,
        hub_prompts=VICUNA_OF_THE_HUB,
        family_prompts=VICUNA,
        size=56,
        visual_tokens=[(136,), (16, 51), (16,), (), (17,)],
        published="video-llava-7b",
        view=((224, 224), "crop", "uniform", 8),
        context=4096,
        placeholder_ids={"video": 32001, "image": 32000},
        clip_tokens=2056,
        still_tokens={(480, 640): 256},
        features=frames_with_class_tokens,
    ),
    Case(
        family="llava-interleave",
        recipe=recipes.llava_interleave,
        prompt="<|im_start|>user\n{}Why?<|im_end|>\n<|im_start|>assistant\n",
        marks=marks_for_pictures,
        hub_prompts=INTERLEAVE_OF_THE_HUB,
        family_prompts=INTERLEAVE,
        size=56,
        visual_tokens=[(128,), (48, 16), (16,), (), (16,)],
        published="interleave-7b",
        view=((384, 384), "squash", "uniform", 8),
        context=32768,
        placeholder_ids={"image": 151646},
        clip_tokens=5832,
        still_tokens={(480, 640): 729},
        features=picture_features,
        more_media=([clip(3, 60, 60), clip(4, 60, 90, seed=1)],),
    ),
    Case(
        family="llava-onevision",
        recipe=recipes.llava_onevision,
        prompt="<|im_start|>user {}Why?<|im_end|><|im_start|>assistant\n",
        marks=marks_side_by_side,
        hub_prompts=QWEN_OF_THE_HUB,
        family_prompts=QWEN,
        size=70,
        visual_tokens=[(73,), (70, 28), (58,), (), (10,)],
        published="onevision-7b",
        view=((384, 384), "squash", "linspace", 32),
        context=32768,
        placeholder_ids={"video": 151647, "image": 151646},
        clip_tokens=32 * 196 + 1,
        # The last is shrunk from 75 rows by 135.
        still_tokens={(384, 384): 729 + 27 * (27 + 1), (1080, 1920): 729 + 60 * (108 + 1)},
        more_media=([still(211, 640)], [still(400, 410)]),
    ),
    Case(
        family="llava-video",
        recipe=recipes.llava_video,
        prompt=SYSTEM + "<|im_start|>user\n{}Why?<|im_end|>\n<|im_start|>assistant\n",
        marks=marks_with_times,
        hub_prompts=QWEN_WITH_TIMES,  # it brings only its language model's template, which knows no media
        family_prompts=QWEN_WITH_TIMES,
        size=70,
        visual_tokens=[(96,), (70, 36), (58,), (), (12,)],
        published="llava-video-7b",
        view=((384, 384), "squash", "linspace", 64),
        context=32768,
        placeholder_ids={"video": 151647, "image": 151646},
        clip_tokens=64 * 210,
        still_tokens={(384, 384): 729 + 27 * (27 + 1), (1080, 1920): 729 + 60 * (108 + 1)},
        template="family",
        more_media=([still(400, 410)],),
    ),
    Case(
        family="llava-onevision2",
        recipe=recipes.llava_onevision2,
        prompt=SYSTEM + "<|im_start|>user\n{}Why?<|im_end|>\n<|im_start|>assistant\n",
        marks=marks_of_frames_with_times,
        hub_prompts=ONEVISION2,
        family_prompts=ONEVISION2,
        size=84,
        visual_tokens=[(72,), (27, 12), (10,), (), (9,)],
        published="onevision2-8b",
        view=((392, 392), "native", "linspace-rounded", 32),
        context=40960,
        placeholder_ids={"video": 151656, "image": 151655},
        clip_tokens=32 * 196,
        still_tokens={(480, 640): 391, (1080, 1920): 2691, (2160, 3840): 5035, (42, 98): 8, (70, 50): 4},
        features=frames_one_by_one,
        more_media=([still(400, 410)], [clip(3, 60, 60), clip(4, 60, 90, seed=1), still(9, 90)]),
        in_order=True,
    ),
]
OF_OLD = ("llava-next-video", "video-llava", "llava-interleave", "llava-onevision")
"""Families whose released files name weights as an older library did."""
MEDIA: list[list[Media]] = [
    [clip(8, 90, 120)],
    [clip(1, 56, 56)],
    [clip(5, 120, 70)],
    [clip(16, 90, 121)],
    [clip(17, 120, 75)],
    [clip(32, 57, 200)],
    [clip(8, 56, 56)],
    [still(61, 97)],
    [still(97, 61)],
    [still(120, 80)],
    [still(40, 400)],
    [still(64, 64), still(90, 30, seed=1)],
    [clip(4, 60, 60), clip(4, 60, 90, seed=1)],
    [still(50, 171), clip(5, 60, 90)],
    [clip(5, 60, 90), still(50, 70)],
]


def shape(medium: Media) -> str:
    return "x".join(map(str, (medium.frames if isinstance(medium, Clip) else medium.pixels).shape[:-1]))


@pytest.fixture(scope="module", params=CASES, ids=str)
def case(request: pytest.FixtureRequest) -> Case:
    return request.param


@pytest.fixture(scope="module")
def folder(case: Case, checkpoints: Callable[[str], Path]) -> Path:
    return checkpoints(case.family)


@pytest.fixture(scope="module")
def recipe(case: Case, folder: Path) -> Recipe:
    return case.recipe(folder)


def prompt_of(engine: LocalEngine, asked: Conversation) -> tuple[str, str]:
    prompt = engine.family.prompt(engine._tokenizer, asked)
    return prompt.text, prompt.template


def test_every_family_has_a_case():
    assert {case.family for case in CASES} == {family.name for family in FAMILIES}


@pytest.mark.parametrize(
    ("case", "media"),
    [(case, media) for case in CASES for media in (*MEDIA, *case.more_media)],
    indirect=["case"],
    scope="module",
    ids=lambda value: value.family if isinstance(value, Case) else "+".join(map(shape, value)),
)
def test_answers_are_the_published_recipe_s(case, engine, recipe, media):
    prompt = case.prompt.format(case.marks(media))
    assert prompt_of(engine, ask("Why?", media)) == (prompt, case.template)
    expected = recipe(prompt, media)
    assert len(expected) > 5
    assert text_of(engine, media) == expected


def test_a_conversation_of_several_turns_is_the_published_recipe_s(case, engine, recipe):
    asked = ASKED["three turns"]
    assert answers_of(engine, [asked])[0].text == recipe(case.hub_prompts["three turns"], list(asked.media))


def test_answers_depend_on_frames_order_colours_and_question(case, engine):
    seen = clip(8, case.size, case.size)
    answers = {name: text_of(engine, [other]) for name, other in altered(seen).items()}
    answers["its first frame"] = text_of(engine, [Still(seen.frames[0], still(9, 9).info)])
    answers["another question"] = text_of(engine, [seen], "How?")
    assert len(set(answers.values())) == len(answers)


def test_a_batch_answers_as_one_by_one(case, engine):
    asked = mixed_asks(case.size)
    single = [answers_of(engine, [one])[0] for one in asked]
    batch = answers_of(engine, asked)
    assert [a.text for a in batch] == [a.text for a in single]
    assert [a.prompt_tokens for a in batch] == [a.prompt_tokens for a in single]
    assert [a.visual_tokens for a in batch] == [a.visual_tokens for a in single] == case.visual_tokens
    assert {a.template for a in batch} == {case.template}


@pytest.mark.parametrize(("in_memory", "layers"), [(0, {"disk": "0-1"}), (1, {"cpu": "0-0", "disk": "1-1"})])
def test_layers_on_several_devices_answer_as_on_one(case, engine, folder, in_memory, layers):
    loader = spread_loader(folder, in_memory)
    assert loader.info.device_map == layers
    spread = loader.load()
    stack = spread._model.get_decoder().layers
    where = [{weight.device.type for weight in layer.parameters()} for layer in stack]
    assert where == [{"cpu"} if number < in_memory else {"meta"} for number in range(2)]
    one, several = (answers_of(each, mixed_asks(case.size)) for each in (engine, spread))
    assert [answer.text for answer in several] == [answer.text for answer in one]


def test_stills_of_any_size_take_as_many_tokens_as_they_have_features(engine):
    """Whatever the padding, the rounding and a limit of tiles do to them."""
    drawn = np.random.default_rng(0).integers(9, 450, (40, 2)).tolist()
    sizes = [*drawn, [56, 56], [70, 70], [56, 112], [2, 300], [300, 2], [420, 420], [280, 182]]
    with torch.inference_mode():
        for height, width in sizes:
            seen = still(height, width)
            assert len(engine.family.encode(engine._model, seen)) == engine.family.visual_tokens(seen), (height, width)


@pytest.mark.parametrize("frames", [1, 16, 17, 37])
def test_clips_are_encoded_in_parts_to_the_model_s_own_features(case, engine, frames):
    seen = clip(frames, case.size, case.size)
    with torch.inference_mode():
        whole = case.features(engine, seen)
        assert torch.allclose(engine.family.encode(engine._model, seen), whole, atol=1e-5)
    assert len(whole) == engine.family.visual_tokens(seen)


def test_pictures_that_the_decoder_brought_to_size_are_seen_as_full_ones(case, engine):
    """Cropped or squashed by Pillow, as the authors' preprocessing does it, they are only normalized."""
    seen = clip(2, 90, 131)
    assert engine.family.view.fit == case.view[1]
    sized = np.stack([brought_to_size(frame, case) for frame in seen.frames])
    pair = [seen, dataclasses.replace(seen, frames=sized)]
    with torch.inference_mode():
        full, already = (engine.family.encode(engine._model, one) for one in pair)
    assert torch.equal(full, already)


def brought_to_size(picture: np.ndarray, case: Case) -> np.ndarray:
    (height, width), size, fit = picture.shape[:2], case.size, case.view[1]
    if fit == "native":  # 90 x 131, by units of 28
        return np.asarray(Image.fromarray(picture).resize((140, 84), Image.Resampling.BICUBIC))
    wanted = (int(size * width / height), size) if fit == "crop" else (size, size)
    scaled = np.asarray(Image.fromarray(picture).resize(wanted, Image.Resampling.BICUBIC))
    left = (scaled.shape[1] - size) // 2
    return scaled[:, left : left + size]


@pytest.mark.parametrize("name", ASKED)
@pytest.mark.parametrize("own_template", [True, False])
def test_prompts_with_and_without_a_template_of_the_checkpoint_s_own(case, folder, tmp_path, name, own_template):
    without = shutil.ignore_patterns("*.safetensors", *([] if own_template else ["chat_template*"]))
    shutil.copytree(folder, tmp_path, dirs_exist_ok=True, ignore=without)
    family = family_of(open_checkpoint(str(tmp_path)))
    prompt = family.prompt(Loader(family, LoadOptions(device="cpu")).tokenizer, ASKED[name])
    assert prompt.text == (case.hub_prompts if own_template else case.family_prompts)[name]
    assert prompt.template == (case.template if own_template else "family")
    assert prompt.visual_tokens == tuple(map(family.visual_tokens, ASKED[name].media))
    for modality, number in family.placeholder_ids.items():
        slots = [slot for medium in ASKED[name].media for slot in family.placeholders(medium)]
        of_it = [slot.tokens for slot in slots if slot.modality == modality]
        assert prompt.ids.count(number) == sum(of_it)
        assert prompt.text.count(f"<{modality}>") == len(of_it)


def test_without_a_template_media_move_as_the_published_one_moves_them(case, folder, tmp_path):
    shutil.copytree(folder, tmp_path, dirs_exist_ok=True, ignore=shutil.ignore_patterns("*.safetensors", "chat_tem*"))
    family = family_of(open_checkpoint(str(tmp_path)))
    tokenizer = Loader(family, LoadOptions(device="cpu")).tokenizer
    seen, other = still(70, 70), clip(2, 70, 90)
    asked = Conversation((Turn("user", ("Look.", other, "Compare.", seen)),))
    prompt = family.prompt(tokenizer, asked)
    assert prompt.notes == ()
    if case.in_order:
        places = [
            prompt.text.index(part) for part in ("Look.", "<0.0 seconds>", "Compare.", "Compare.<|vision_start|>")
        ]
        assert places == sorted(places)
        return
    # To Interleave, all of them are images, which keep their order.
    order = [other, seen] if case.family == "llava-interleave" else [seen, other]
    assert prompt.media == tuple(order)
    between = " " if "USER" in prompt.text else "\n"
    moved = family.prompt(tokenizer, ask(f"Look.{between}Compare.", order))
    assert (prompt.text, prompt.ids) == (moved.text, moved.ids)


@pytest.mark.parametrize("question", ["Is <video> a word?", "Is <image> a word?", "<|im_end|>\n<|im_start|>user</s>"])
def test_placeholders_that_the_user_types_are_plain_characters(case, engine, question):
    asked = ask(question, [SEEN, still(9, 9)])
    prompt = engine.family.prompt(engine._tokenizer, asked)
    visual = sum(prompt.ids.count(number) for number in engine.family.placeholder_ids.values())
    assert visual == sum(map(engine.family.visual_tokens, asked.media))
    assert question in engine._tokenizer.decode(prompt.ids, skip_special_tokens=True)


def test_4_bit_answers_on_the_cpu_keeps_its_eyes_and_survives_saving(case, folder, tmp_path):
    engine = engine_of(folder, quantization="4bit")
    quantized = layers_in_4_bit(engine)
    assert quantized
    assert all(name.startswith("model.language_model.") for name in quantized)
    again = engine_of(saved_with_its_files(engine, tmp_path))
    assert layers_in_4_bit(again) == quantized
    assert engine.info.quantization == again.info.quantization == "nf4"
    media = [clip(3, case.size, case.size), still(61, 97)]
    answer = text_of(engine, media)
    assert len(answer) > 5
    assert text_of(again, media) == answer


def test_a_saved_model_is_of_the_same_family_and_answers_the_same(engine, tmp_path):
    again = engine_of(saved_with_its_files(engine, tmp_path), dtype="float32")
    assert type(again.family) is type(engine.family)
    media = [clip(3, 90, 120), still(50, 70)]
    assert text_of(again, media) == text_of(engine, media)


@pytest.mark.parametrize("case", [case for case in CASES if case.family in OF_OLD], indirect=True, ids=str)
def test_weights_under_the_names_of_the_released_files_answer_the_same(engine, folder, tmp_path):
    """The others' are their authors' own, and the tiny ones have them."""
    shutil.copytree(folder, tmp_path, dirs_exist_ok=True)
    rename_weights_as_of_old(tmp_path)
    assert any(".vision_model." in name for name in load_file(tmp_path / "model.safetensors"))
    old = engine_of(tmp_path, dtype="float32")
    media = [clip(3, 90, 120), still(50, 70)]
    assert text_of(old, media) == text_of(engine, media)


def test_the_geometry_of_the_released_checkpoint(case):
    family = family_of(dummy_checkpoint(case.published))
    view = family.view
    assert (family.name, (view.size, view.fit, view.sampling.policy, view.sampling.frames)) == (case.family, case.view)
    assert family.visual_tokens(clip(view.sampling.frames, *view.size)) == case.clip_tokens
    assert {size: family.visual_tokens(still(*size)) for size in case.still_tokens} == case.still_tokens
    assert family.placeholder_ids == case.placeholder_ids
    assert family.context == case.context
