# SPDX-License-Identifier: Apache-2.0
"""Video-LLaVA: eight frames whatever the clip, two towers, and the published recipe's tokens."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path

import numpy as np
import pytest
import recipes
import tiny_video_llava
import torch
from answering import answers_of, engine_of, layers_in_4_bit, mixed_asks, saved_with_its_files, text_of
from pictures import altered, clip, still
from PIL import Image
from tiny_parts import rename_weights_as_of_old
from transformers import PreTrainedTokenizerFast, VideoLlavaForConditionalGeneration, VideoLlavaImageProcessor

from llava_cli.errors import UsageError
from llava_cli.media.clip import Sampling, Still
from llava_cli.models import messages
from llava_cli.models.checkpoint import Checkpoint, open_checkpoint
from llava_cli.models.messages import Conversation, Turn
from llava_cli.models.published import PUBLISHED
from llava_cli.models.registry import family_of
from llava_cli.models.video_llava import VideoLlava, shown_places

SEVEN_B = PUBLISHED["video-llava-7b"].config


def family(config: dict) -> VideoLlava:
    found = family_of(Checkpoint("test", Path("nowhere"), config))
    assert isinstance(found, VideoLlava)
    return found


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_video_llava.make(tmp_path_factory.mktemp("video-llava"))


@pytest.fixture(scope="module")
def recipe(folder: Path) -> recipes.Recipe:
    """The published snippet: placeholders expanded in the text, pixels by the authors' processor, HF's forward."""
    model = VideoLlavaForConditionalGeneration.from_pretrained(folder, dtype=torch.float32).eval()
    tokenizer = PreTrainedTokenizerFast.from_pretrained(folder)
    size = {"height": tiny_video_llava.IMAGE_SIZE, "width": tiny_video_llava.IMAGE_SIZE}
    processor = VideoLlavaImageProcessor(size={"shortest_edge": tiny_video_llava.IMAGE_SIZE}, crop_size=size)

    def pixels(pictures) -> torch.Tensor:
        inputs = recipes.preprocessed(processor, pictures)
        return inputs["pixel_values_images" if "pixel_values_images" in inputs else "pixel_values"]

    def answer(prompt: str, media: list) -> str:
        inputs = {}
        clips, stills = recipes.apart(media)
        if clips:
            inputs["pixel_values_videos"] = torch.stack([pixels(as_the_authors_sample(c.frames)) for c in clips])
        if stills:
            inputs["pixel_values"] = pixels([s.pixels for s in stills])
        text = prompt.replace("<video>", "<video>" * (8 * 17)).replace("<image>", "<image>" * 16)
        return recipes.generated(model, tokenizer, tokenizer(text, return_tensors="pt").input_ids, **inputs)

    return answer


def as_the_authors_sample(frames: np.ndarray) -> np.ndarray:
    return frames[np.linspace(0, len(frames) - 1, 8, dtype=int)]


def test_the_7b_s_geometry():
    seven = family(SEVEN_B)
    assert (seven.view.size, seven.view.fit) == ((224, 224), "crop")
    assert (seven.view.sampling.policy, seven.view.sampling.frames) == ("uniform", 8)
    assert seven.visual_tokens(clip(8, 224, 224)) == 2056
    assert seven.visual_tokens(still(480, 640)) == 256
    assert seven.placeholder_ids == {"video": 32001, "image": 32000}
    assert seven.context == 4096


def test_geometry_is_never_assumed():
    other = family(SEVEN_B | {"vision_config": {"image_size": 336, "patch_size": 28}, "video_token_index": 7})
    assert other.view.size == (336, 336)
    assert other.visual_tokens(clip(8, 336, 336)) == 8 * (144 + 1)
    assert other.placeholder_ids["video"] == 7
    assert family(SEVEN_B | {"vision_feature_select_strategy": "full"}).visual_tokens(still(9, 9)) == 257


def test_pictures_are_cropped_as_the_authors_do():
    """Pillow bicubic to the shortest edge, then the centre; what the decoder cropped already is only normalized."""
    own = family(SEVEN_B)
    seen = still(300, 500)
    scaled = np.asarray(Image.fromarray(seen.pixels).resize((int(224 * 500 / 300), 224), Image.Resampling.BICUBIC))
    left = (scaled.shape[1] - 224) // 2
    cropped = scaled[:, left : left + 224]
    mean, std = [0.48145466, 0.4578275, 0.40821073], [0.26862954, 0.26130258, 0.27577711]
    expected = (cropped.astype(np.float32) / 255 - mean) / std
    assert np.abs(own.pixels(seen)[0].numpy() - expected.transpose(2, 0, 1)).max() < 1e-5
    assert torch.equal(own.pixels(Still(cropped, seen.info)), own.pixels(seen))


def test_eight_frames_of_any_clip_are_shown():
    """Eight as they are; of fewer, some again, as the authors' own sampling does."""
    assert shown_places(8) == [0, 1, 2, 3, 4, 5, 6, 7]
    assert shown_places(3) == [0, 0, 0, 0, 1, 1, 1, 2]
    assert shown_places(1) == [0] * 8
    assert family(SEVEN_B).visual_tokens(clip(3, 224, 224)) == 2056


@pytest.mark.parametrize(("shown", "asked"), [(16, 16), (4, 4), (3, 16)])
def test_another_number_of_frames_is_refused_by_name(shown, asked):
    wrong = dataclasses.replace(clip(shown, 56, 56), sampling=Sampling(frames=asked))
    with pytest.raises(UsageError, match=f"clip.mp4: .* exactly 8 frames, not {asked}"):
        family(SEVEN_B).placeholders(wrong)


@pytest.mark.parametrize(
    ("asked", "golden"),
    [
        (messages.ask("Why?", [clip(8, 56, 56)]), "USER: <video>\nWhy? ASSISTANT:"),
        (
            messages.ask("Compare.", [still(9, 9), still(9, 9), clip(8, 56, 56)]),
            "USER: <image>\n<image>\n<video>\nCompare. ASSISTANT:",
        ),
        (
            Conversation(
                (
                    Turn("system", ("Be brief.",)),
                    Turn("user", (still(9, 9), "What is it?")),
                    Turn("assistant", ("A cat.",)),
                    Turn("user", (clip(8, 56, 56), "And here?")),
                )
            ),
            "Be brief. USER: <image>\nWhat is it? ASSISTANT: A cat.</s>USER: <video>\nAnd here? ASSISTANT:",
        ),
    ],
)
def test_prompts_without_a_template_of_the_checkpoint_s_own(tmp_path, asked, golden):
    own = VideoLlava(open_checkpoint(str(tiny_video_llava.make(tmp_path, template=None))))
    prompt = own.prompt(PreTrainedTokenizerFast.from_pretrained(tmp_path), asked)
    assert (prompt.text, prompt.template) == (golden, "family")
    assert prompt.ids.count(tiny_video_llava.VIDEO) == 136
    assert prompt.ids.count(tiny_video_llava.IMAGE) == 16 * golden.count("<image>")


@pytest.mark.parametrize(
    ("media", "prompt"),
    [
        ([clip(8, 90, 120)], "USER: <video>\nWhy? ASSISTANT:"),
        ([clip(8, 56, 56)], "USER: <video>\nWhy? ASSISTANT:"),
        ([clip(5, 120, 70)], "USER: <video>\nWhy? ASSISTANT:"),
        ([clip(1, 61, 97)], "USER: <video>\nWhy? ASSISTANT:"),
        ([still(61, 97)], "USER: <image>\nWhy? ASSISTANT:"),
        ([still(40, 400), still(90, 30, seed=1)], "USER: <image>\n<image>\nWhy? ASSISTANT:"),
        ([clip(8, 60, 60), clip(8, 60, 90, seed=1)], "USER: <video>\n<video>\nWhy? ASSISTANT:"),
        ([still(50, 70), clip(8, 60, 90)], "USER: <image>\n<video>\nWhy? ASSISTANT:"),
        ([clip(8, 60, 90), still(50, 70)], "USER: <video>\n<image>\nWhy? ASSISTANT:"),
    ],
)
def test_answers_are_the_published_recipe_s(engine, recipe, media, prompt):
    expected = recipe(prompt, media)
    assert len(expected) > 5
    assert text_of(engine, media) == expected


def test_answers_depend_on_frames_order_colours_tower_and_question(engine):
    seen = clip(8, 56, 56)
    answers = {name: text_of(engine, [other]) for name, other in altered(seen).items()}
    answers["its first frame"] = text_of(engine, [Still(seen.frames[0], still(56, 56).info)])
    answers["another question"] = text_of(engine, [seen], "How?")
    assert len(set(answers.values())) == len(answers)


def test_a_batch_answers_as_one_by_one(engine):
    asks = mixed_asks(56)
    single = [answers_of(engine, [one])[0] for one in asks]
    assert [a.text for a in answers_of(engine, asks)] == [a.text for a in single]
    assert [a.visual_tokens for a in single] == [(136,), (136, 16), (16,), ()]


def test_weights_under_their_old_names_answer_the_same(engine, folder, tmp_path):
    shutil.copytree(folder, tmp_path, dirs_exist_ok=True)
    rename_weights_as_of_old(tmp_path)
    old = engine_of(tmp_path, dtype="float32")
    assert text_of(old, [clip(8, 90, 120), still(50, 70)]) == text_of(engine, [clip(8, 90, 120), still(50, 70)])


def test_4_bit_answers_on_the_cpu_keeps_its_eyes_and_survives_saving(folder, tmp_path):
    engine = engine_of(folder, quantization="4bit")
    quantized = layers_in_4_bit(engine)
    assert quantized
    assert all(name.startswith("model.language_model.") for name in quantized)
    again = engine_of(saved_with_its_files(engine, tmp_path))
    assert layers_in_4_bit(again)
    answer = text_of(engine, [clip(8, 56, 56), still(61, 97)])
    assert len(answer) > 5
    assert text_of(again, [clip(8, 56, 56), still(61, 97)]) == answer
