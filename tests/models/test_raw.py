# SPDX-License-Identifier: Apache-2.0
"""Raw prompts: where their marks put the media, and what looks like one. test_wording.py has them answered."""

from __future__ import annotations

import pytest
from pictures import clip, still

from llava_cli.models.messages import modality_of, raw
from llava_cli.models.prompt import Placeholder, Text
from llava_cli.models.raw import MarkMismatch, looks_rendered, raw_spans

CLIP, OTHER, STILL = clip(3, 8, 8), clip(2, 8, 8, seed=1), still(9, 7)


def whole(medium) -> list[Placeholder]:
    return [Placeholder(medium, modality_of(medium), 5)]


def frame_by_frame(medium) -> list[Placeholder]:
    return [Placeholder(medium, "image", 5)] * (1 if medium is STILL else len(medium.frames))


def media_of(prompt: str, media: list, placeholders_of=whole) -> list:
    """The media of a prompt's placeholders, in order."""
    spans = raw_spans(raw(prompt, media), placeholders_of)
    return [span.medium for span in spans if isinstance(span, Placeholder)]


def test_marks_of_a_kind_stand_for_the_media_in_their_order():
    assert media_of("<video> <image> <video>", [STILL, CLIP, OTHER]) == [CLIP, STILL, OTHER]


def test_text_is_kept_to_the_last_space_and_is_not_the_user_s_words():
    spans = raw_spans(raw(" A <video>\nB ", [CLIP]), whole)
    assert spans == [Text(" A ", by_user=False), *whole(CLIP), Text("\nB ", by_user=False)]


def test_where_a_video_is_a_row_of_images_it_has_one_mark_or_one_for_each():
    assert media_of("<video>.<image>", [CLIP, STILL], frame_by_frame) == [CLIP] * 3 + [STILL]
    assert media_of("<image>.<video>", [CLIP, STILL], frame_by_frame) == [STILL] + [CLIP] * 3
    assert media_of("<image>\n" * 6, [CLIP, STILL, OTHER], frame_by_frame) == [CLIP] * 3 + [STILL] + [OTHER] * 2


@pytest.mark.parametrize(
    ("prompt", "media", "told"),
    [
        ("Why?", [CLIP], "must have 1 <video>, but has no mark"),
        ("<video><video>", [CLIP], "must have 1 <video>, but has 2 <video>"),
        ("<image>", [CLIP, STILL], "must have 1 <video> and 1 <image>, but has 1 <image>"),
        ("<video>", [], "must have no mark, but has 1 <video>"),
    ],
)
def test_other_marks_are_told(prompt, media, told):
    with pytest.raises(MarkMismatch, match=told):
        media_of(prompt, media)


def test_both_ways_are_told_where_there_are_two():
    with pytest.raises(MarkMismatch, match="must have 1 <video>, or 3 <image>, but has 2 <image>"):
        media_of("<image><image>", [CLIP], frame_by_frame)


@pytest.mark.parametrize(
    "prompt",
    [
        "USER: <video>\nWhy is this video funny? ASSISTANT:",
        " USER: Why?\n\nASSISTANT: It is.</s>USER: Why? ASSISTANT:",
        "A chat between a curious user and an assistant. USER: Why? ASSISTANT:",
        "<|im_start|>user\n<video>\nWhy?<|im_end|>\n<|im_start|>assistant\n",
        "[INST] <video>\nWhy? [/INST]",
        "<s>[INST] Why? [/INST]",
        "<s> USER: Why? ASSISTANT:",
    ],
)
def test_what_documents_print_looks_rendered(prompt):
    assert looks_rendered(prompt)


@pytest.mark.parametrize(
    "question",
    ["Why?", "", "The USER: what does ASSISTANT: mean?", "USER: who is it?", "What does [INST] mean?", "Is it <video>?",
     "A chat between friends: what is it about?", "<video>\n"],
)  # fmt: skip
def test_what_people_ask_does_not(question):
    assert not looks_rendered(question)
