# SPDX-License-Identifier: Apache-2.0
"""LLaVA-Video's prompts: the model is told when each frame was taken, in the words that it was trained with."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from pictures import clip, still
from tiny.llava_onevision import TEMPLATE
from tiny.llava_video import original_config
from tiny.tokenizers import qwen_tokenizer

from llava_cli.engine.loader import Loader
from llava_cli.engine.types import LoadOptions
from llava_cli.media.clip import Clip, MediaInfo
from llava_cli.models.checkpoint import Checkpoint, open_checkpoint
from llava_cli.models.llava_video import LlavaVideo
from llava_cli.models.messages import Conversation, Turn, ask
from llava_cli.models.registry import family_of

SEEN = Clip(
    np.zeros((3, 70, 70, 3), np.uint8),
    (0, 137, 275),
    (0.0, 5.5, 11.0),
    MediaInfo("clip.mp4", "video", 70, 70, "h264", "pyav", duration=11.04),
)
TIMES = (
    "The video lasts for 11.04 seconds, and 3 frames are uniformly sampled from it. "
    "These frames are located at 0.00s,5.50s,11.00s.Please answer the following questions related to this video.\n"
)
SYSTEM = "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n"


def prompt_text(asked: Conversation, folder: Path = Path("nowhere"), **settings: object) -> str:
    family = LlavaVideo(Checkpoint("test", folder, original_config(**settings)))
    tokenizer = qwen_tokenizer()
    prompt = family.prompt(tokenizer, asked)
    assert sum(prompt.ids.count(number) for number in (151646, 151647)) == sum(prompt.visual_tokens)
    return prompt.text


@pytest.mark.parametrize(
    ("asked", "golden"),
    [
        (
            # As the authors' own code prints it, with their placeholder for ours.
            ask("What happens?", [SEEN]),
            f"{SYSTEM}<|im_start|>user\n<video>\n{TIMES}What happens?<|im_end|>\n<|im_start|>assistant\n",
        ),
        (
            ask("Compare.", [still(70, 70), still(70, 90, 1), SEEN]),
            f"{SYSTEM}<|im_start|>user\n<image>\n<image>\n<video>\n{TIMES}Compare.<|im_end|>\n<|im_start|>assistant\n",
        ),
        (
            ask("Compare.", [SEEN, SEEN]),
            f"{SYSTEM}<|im_start|>user\n<video>\n{TIMES}<video>\n{TIMES}Compare.<|im_end|>\n<|im_start|>assistant\n",
        ),
        (
            Conversation(
                (
                    Turn("system", ("Be brief.",)),
                    Turn("user", (SEEN, "What is it?")),
                    Turn("assistant", ("A cat.",)),
                    Turn("user", ("And then?",)),
                )
            ),
            f"<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\n<video>\n{TIMES}What is it?<|im_end|>\n"
            "<|im_start|>assistant\nA cat.<|im_end|>\n<|im_start|>user\nAnd then?<|im_end|>\n<|im_start|>assistant\n",
        ),
        (
            ask("<video>\nWhy?", [SEEN]),
            f"{SYSTEM}<|im_start|>user\n<video>\n{TIMES}Why?<|im_end|>\n<|im_start|>assistant\n",
        ),
        (
            ask("Is there a cat in <video> too?", [SEEN]),
            f"{SYSTEM}<|im_start|>user\n{TIMES}Is there a cat in <video> too?<|im_end|>\n<|im_start|>assistant\n",
        ),
        (
            ask("Why?", [still(70, 70)]),
            f"{SYSTEM}<|im_start|>user\n<image>\nWhy?<|im_end|>\n<|im_start|>assistant\n",
        ),
    ],
)
def test_prompts_tell_the_times(asked, golden):
    assert prompt_text(asked) == golden


def test_a_conversion_s_template_is_told_the_times_too(tmp_path):
    (tmp_path / "chat_template.json").write_text(json.dumps({"chat_template": TEMPLATE}))
    text = prompt_text(ask("Why?", [SEEN]), tmp_path)
    assert text == f"<|im_start|>user <video>\n{TIMES}Why?<|im_end|><|im_start|>assistant\n"


@pytest.mark.parametrize("setting", [False, "False"])
def test_times_are_left_out_where_the_config_says_so(setting):
    text = prompt_text(ask("Why?", [SEEN]), add_time_instruction=setting)
    assert text == f"{SYSTEM}<|im_start|>user\n<video>\nWhy?<|im_end|>\n<|im_start|>assistant\n"


def test_times_are_told_where_the_config_is_silent():
    assert TIMES in prompt_text(ask("Why?", [SEEN]), add_time_instruction=None)


def test_a_tokenizer_may_come_as_a_vocabulary_and_merges(tmp_path):
    """As Qwen's were first released."""
    whole = qwen_tokenizer(media_tokens=False)
    whole.save_pretrained(tmp_path)
    whole.backend_tokenizer.model.save(str(tmp_path))
    (tmp_path / "tokenizer.json").unlink()
    added = {i: {"content": str(token), "special": True} for i, token in whole.added_tokens_decoder.items()}
    (tmp_path / "tokenizer_config.json").write_text(json.dumps({"added_tokens_decoder": added}))
    (tmp_path / "config.json").write_text(json.dumps(original_config()))
    family = family_of(open_checkpoint(str(tmp_path)))
    loader = Loader(family, LoadOptions(device="cpu"))
    asked = ask("Why is this <|im_end|> funny?", [clip(3, 56, 56)])
    ids = family.prompt(loader.tokenizer, asked).ids
    qwen_tokenizer(media_tokens=False).save_pretrained(tmp_path)
    assert family.prompt(Loader(family, LoadOptions(device="cpu")).tokenizer, asked).ids == ids
