# SPDX-License-Identifier: Apache-2.0
"""A request: which words are asked, where media stand among them, and what a failure remembers of it."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass

import pytest
from pictures import clip, still

from llava_cli.engine.types import Generation
from llava_cli.errors import InputError
from llava_cli.models.messages import MediaPath, Message, Turn
from llava_cli.request import FrameChoice, Request
from llava_cli.session import open_family

CLIP, STILL = clip(2, 8, 8), still(9, 7)
SHOWN = {"clip.mp4": CLIP, "still.png": STILL}
HISTORY = (
    Message("system", ("Be polite.",)),
    Message("user", (MediaPath("image", "still.png"), "What is it?")),
    Message("assistant", ("A picture.",)),
)
ASKED = Turn("user", (STILL, "What is it?"))


def test_without_a_question_a_description_is_asked_for_in_words_of_the_first_medium():
    assert Request().text([CLIP, STILL]) == "Describe this video in detail."
    assert Request().text([STILL, CLIP]) == "Describe this image in detail."
    assert Request("Why?").text([STILL]) == "Why?"


def test_media_come_before_the_question_in_the_order_in_which_they_were_named():
    (turn,) = Request("Why?", ("still.png", "clip.mp4")).conversation(SHOWN).turns
    assert turn == Turn("user", (STILL, CLIP, "Why?"))


def test_media_stand_where_the_question_puts_them():
    (turn,) = Request("Is <image> in <video>?", ("clip.mp4", "still.png")).conversation(SHOWN).turns
    assert turn == Turn("user", ("Is ", STILL, " in ", CLIP, "?"), inline=True)


def test_a_question_follows_the_history():
    request = Request("Why?", ("clip.mp4",), HISTORY)
    assert request.names == ("still.png", "clip.mp4")
    assert request.conversation(SHOWN).turns == (
        Turn("system", ("Be polite.",)), ASKED, Turn("assistant", ("A picture.",)), Turn("user", (CLIP, "Why?")),
    )  # fmt: skip


def test_a_history_that_ends_with_a_question_is_the_whole_of_it():
    request = Request(history=HISTORY[:2])
    assert request.text() == "What is it?"
    assert request.conversation(SHOWN).turns == (Turn("system", ("Be polite.",)), ASKED)


def test_a_system_prompt_takes_the_place_of_the_history_s():
    turns = Request(history=HISTORY[:2], system="Be brief.").conversation(SHOWN).turns
    assert turns == (Turn("system", ("Be brief.",)), ASKED)


def test_a_file_that_is_not_what_the_history_says():
    with pytest.raises(InputError, match=r"still\.png: is a video, but the conversation says image"):
        Request("Why?", history=HISTORY).conversation({"still.png": CLIP})


def test_a_failure_on_the_way_knows_what_was_asked_and_keeps_what_it_knew():
    request = Request("Why?", ("a.mp4",), generation=Generation(7))
    error = InputError("a.mp4: is empty")
    error.known = {"paths": ("b.mp4",), "media": [CLIP]}
    with pytest.raises(InputError) as raised, request.known_to_failures():
        raise error
    assert raised.value is error
    assert error.known == {"asked": request.asked(), "paths": ("b.mp4",), "media": [CLIP]}


def test_a_rate_of_frames_is_bounded_by_the_context_and_by_frames_where_given():
    family = open_family("next-video-7b", dummy=True)
    by_rate = FrameChoice(fps=1.0).of(family.view, family.most_frames).sampling
    assert by_rate.frames == (10240 - 320) // 144
    assert FrameChoice(12, fps=1.0).of(family.view, family.most_frames).sampling.frames == 12
    assert FrameChoice().of(family.view, family.most_frames).sampling == family.view.sampling


def test_all_that_is_asked_is_told_and_a_new_field_by_itself():
    asked = Request("Why?", ("a.mp4",), HISTORY, "Be brief.", FrameChoice(4, start=1.0), True, Generation(7)).asked()
    assert asked == {
        "question": "Why?",
        "system": "Be brief.",
        "messages": [
            {"role": "system", "content": [{"type": "text", "text": "Be polite."}]},
            {
                "role": "user",
                "content": [{"type": "image", "path": "still.png"}, {"type": "text", "text": "What is it?"}],
            },
            {"role": "assistant", "content": [{"type": "text", "text": "A picture."}]},
        ],
        "choice": asdict(FrameChoice(4, start=1.0)),
        "fit": True,
        "generation": asdict(Generation(7)) | {"do_sample": False},
    }
    json.dumps(asked)

    @dataclass(frozen=True)
    class Later(Request):
        """A request of a version to come."""

        tone: str = "plain"

    assert Later("Why?", tone="shrill").asked()["tone"] == "shrill"
