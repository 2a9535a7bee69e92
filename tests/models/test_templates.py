# SPDX-License-Identifier: Apache-2.0
"""The published chat templates of LLaVA-NeXT-Video's language models, character by character."""

from __future__ import annotations

import pytest
from pictures import clip, still
from tiny.tokenizers import llama_tokenizer

from llava_cli.models import prompt as prompts
from llava_cli.models.llava_next_video import MISTRAL, VICUNA, YI
from llava_cli.models.messages import Conversation, Turn, ask, modality_of

VIDEO_CLIP, STILL = clip(2, 56, 56), still(56, 56)
HISTORY = Conversation(
    (
        Turn("system", ("Be brief.",)),
        Turn("user", (STILL, "What is it?")),
        Turn("assistant", ("A cat.",)),
        Turn("user", (VIDEO_CLIP, "And here?")),
    )
)
MIXED = ask("Compare.", [STILL, still(56, 56, 1), VIDEO_CLIP])


TEXTS = Conversation((Turn("user", (VIDEO_CLIP, "Look.", "Compare.")),))


def one_placeholder(medium) -> list[prompts.Placeholder]:
    return [prompts.Placeholder(medium, modality_of(medium), 5)]


@pytest.mark.parametrize(
    ("template", "asked", "golden"),
    [
        (VICUNA, ask("Why?", [VIDEO_CLIP]), "USER: <video>\nWhy? ASSISTANT:"),
        (VICUNA, MIXED, "USER: <image>\n<image>\n<video>\nCompare. ASSISTANT:"),
        (
            VICUNA,
            HISTORY,
            "Be brief. USER: <image>\nWhat is it? ASSISTANT: A cat.</s>USER: <video>\nAnd here? ASSISTANT:",
        ),
        (MISTRAL, ask("Why?", [VIDEO_CLIP]), "[INST] <video>\nWhy? [/INST]"),
        (MISTRAL, MIXED, "[INST] <image>\n<image>\n<video>\nCompare. [/INST]"),
        (
            MISTRAL,
            HISTORY,
            "[INST] Be brief.\n\n<image>\nWhat is it? [/INST] A cat.</s>[INST] <video>\nAnd here? [/INST]",
        ),
        (
            YI,
            ask("Why?", [VIDEO_CLIP]),
            "<|im_start|>system\nAnswer the questions.<|im_end|><|im_start|>user\n<video>\nWhy?<|im_end|>"
            "<|im_start|>assistant\n",
        ),
        (VICUNA, TEXTS, "USER: <video>\nLook. Compare. ASSISTANT:"),
        (MISTRAL, TEXTS, "[INST] <video>\nLook.\nCompare. [/INST]"),
        (
            YI,
            TEXTS,
            "<|im_start|>system\nAnswer the questions.<|im_end|><|im_start|>user\n<video>\nLook.\nCompare.<|im_end|>"
            "<|im_start|>assistant\n",
        ),
        (
            YI,
            MIXED,
            "<|im_start|>system\nAnswer the questions.<|im_end|>"
            "<|im_start|>user\n<image>\n<image>\n<video>\nCompare.<|im_end|><|im_start|>assistant\n",
        ),
        (
            YI,
            HISTORY,
            "<|im_start|>system\nBe brief.<|im_end|><|im_start|>user\n<image>\nWhat is it?<|im_end|>"
            "<|im_start|>assistant\nA cat.<|im_end|><|im_start|>user\n<video>\nAnd here?<|im_end|>"
            "<|im_start|>assistant\n",
        ),
    ],
)
def test_published_templates(template, asked, golden):
    spans = prompts.render(llama_tokenizer(), template, asked.turns, one_placeholder)
    assert prompts.readable(spans) == golden
