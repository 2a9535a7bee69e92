# SPDX-License-Identifier: Apache-2.0
"""A request: which words are asked, where media stand among them, and what a failure remembers of it."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace

import pytest
from pictures import clip, still

from llava_cli.cues import Cue
from llava_cli.engine.types import Constraint, Generation
from llava_cli.errors import InputError, UsageError
from llava_cli.media.named import Excerpt
from llava_cli.models.messages import MediaPath, Message, Turn, raw, written
from llava_cli.preface import Summary
from llava_cli.request import WRAPPED_AGAIN, FrameChoice, Request
from llava_cli.session import open_family
from llava_cli.texts import path_entry

CLIP, STILL = clip(2, 8, 8), still(9, 7)
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
    (turn,) = Request("Why?", ("still.png", "clip.mp4")).conversation([STILL, CLIP]).turns
    assert turn == Turn("user", (STILL, CLIP, "Why?"))


def test_media_stand_where_the_question_puts_them():
    (turn,) = Request("Is <image> in <video>?", ("clip.mp4", "still.png")).conversation([CLIP, STILL]).turns
    assert turn == Turn("user", ("Is ", STILL, " in ", CLIP, "?"), inline=True)


def test_a_question_follows_the_history():
    request = Request("Why?", ("clip.mp4",), HISTORY)
    assert request.names == ("still.png", "clip.mp4")
    assert request.conversation([STILL, CLIP]).turns == (
        Turn("system", ("Be polite.",)), ASKED, Turn("assistant", ("A picture.",)), Turn("user", (CLIP, "Why?")),
    )  # fmt: skip


def test_a_history_that_ends_with_a_question_is_the_whole_of_it():
    request = Request(history=HISTORY[:2])
    assert request.text() == "What is it?"
    assert request.conversation([STILL]).turns == (Turn("system", ("Be polite.",)), ASKED)


def test_a_system_prompt_takes_the_place_of_the_history_s():
    turns = Request(history=HISTORY[:2], system="Be brief.").conversation([STILL]).turns
    assert turns == (Turn("system", ("Be brief.",)), ASKED)


def test_a_file_that_is_not_what_the_history_says():
    with pytest.raises(InputError, match=r"still\.png: is a video, but the conversation says image"):
        Request("Why?", history=HISTORY).conversation([CLIP])


def test_a_failure_on_the_way_knows_what_was_asked_and_keeps_what_it_knew():
    request = Request("Why?", ("a.mp4",), generation=Generation(7))
    error = InputError("a.mp4: is empty")
    error.known = {"paths": ("b.mp4",), "media": [CLIP]}
    with pytest.raises(InputError) as raised, request.known_to_failures():
        raise error
    assert raised.value is error
    assert error.known == {"asked": request.asked(), "paths": ("b.mp4",), "media": [CLIP]}


def test_fewer_frames_are_fewer_of_each_medium():
    """Those of a medium that says its own number are not made more."""
    parts = [MediaPath("video", "a.mp4", Excerpt(frames=frames)) for frames in (2, 16, None)]
    fitted = Request("Why?", (*parts, "b.mp4"), (Message("user", tuple(parts)),)).fewer_frames(4, "note")
    assert [medium.excerpt.frames for medium in fitted.shown] == [2, 4, None, 2, 4, None, None]
    assert (fitted.choice.frames, fitted.notes) == (4, ("note",))


def test_a_rate_of_frames_is_bounded_by_the_context_and_by_frames_where_given():
    family = open_family("next-video-7b", dummy=True)
    by_rate = FrameChoice(fps=1.0).of(family.view, family.most_frames).sampling
    assert by_rate.frames == (10240 - 320) // 144
    assert FrameChoice(12, fps=1.0).of(family.view, family.most_frames).sampling.frames == 12
    assert FrameChoice().of(family.view, family.most_frames).sampling == family.view.sampling


def test_a_failure_of_a_conversation_knows_it_and_what_was_to_be_shown_of_each_medium():
    part = MediaPath("video", "clip.mp4", Excerpt(start=2.0))
    request = Request("Why?", (part,), HISTORY)
    error = InputError("clip.mp4: is empty")
    with pytest.raises(InputError), request.known_to_failures():
        raise error
    assert error.known["paths"] == ("still.png", part)
    assert error.known["asked"]["messages"] == written(HISTORY, path_entry)


def test_a_raw_prompt_is_asked_to_the_last_space_and_its_media_are_placed_later():
    asked = Request(" USER: <video>\nWhy? ", ("clip.mp4",), raw=True).conversation([CLIP])
    assert asked == raw(" USER: <video>\nWhy? ", [CLIP])
    assert asked.media == (CLIP,)


@pytest.mark.parametrize("other", [{"system": "Be brief."}, {"history": HISTORY}, {"template": "{{ messages }}"}])
def test_a_raw_prompt_is_all_that_is_said(other):
    Request("<video>", ("clip.mp4",), raw=True, system=" ")
    with pytest.raises(UsageError, match="a raw prompt is the whole prompt"):
        Request("<video>", ("clip.mp4",), raw=True, **other)


def test_a_template_goes_with_the_conversation_and_its_system_prompt():
    asked = Request("Why?", ("clip.mp4",), HISTORY, "Be brief.", template="{{ messages }}").conversation([STILL, CLIP])
    assert asked.template == "{{ messages }}"
    assert asked.turns == Request("Why?", ("clip.mp4",), HISTORY, "Be brief.").conversation([STILL, CLIP]).turns


def test_a_question_that_looks_like_a_whole_prompt_is_warned_of_unless_it_is_one():
    whole = "USER: <video>\nWhy? ASSISTANT:"
    assert Request(whole, notes=("fewer frames",)).warnings == ("fewer frames", WRAPPED_AGAIN)
    assert Request(whole, raw=True, notes=("fewer frames",)).warnings == ("fewer frames",)
    assert Request("Why?").warnings == Request().warnings == ()


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
        "template_sha256": None,
        "choice": {"frames": 4, "fps": None, "sampling": None, "start": 1.0, "end": None, "fast_pixels": False},
        "fit": True,
        "raw": False,
        "generation": asdict(Generation(7)) | {"do_sample": False},
    }
    json.dumps(asked)

    @dataclass(frozen=True)
    class Later(Request):
        """A request of a version to come."""

        tone: str = "plain"

    assert Later("Why?", tone="shrill").asked()["tone"] == "shrill"


def test_options_about_a_prompt_that_is_made_here_are_known():
    assert Request("Why?", system="Be brief.").about_prompt == ()
    asked = Request("{{ Why? }}", template="{{ x }}", fit=True, prompt_ids=True)
    assert asked.about_prompt == ("--template", "--prompt-ids", "--fit")
    assert Request("<video>", raw=True).about_prompt == ("--raw",)


CUES = (Cue(0.0, 1.5, "Hello"), Cue(2.0, 3.0, "Bye"))


def text_of(request: Request) -> str:
    return request.conversation([STILL] if request.media else []).turns[-1].parts[-1]


def test_subtitles_stand_before_the_question_and_are_no_part_of_it():
    request = Request("Why?", ("a.png",), context=CUES)
    assert text_of(request) == (
        "These are the subtitles of what is shown:\n[0:00.000 - 0:01.500] Hello\n[0:02.000 - 0:03.000] Bye\n\nWhy?"
    )
    asked = request.asked()
    assert (asked["question"], asked["context"][0]) == ("Why?", {"start": 0.0, "end": 1.5, "text": "Hello"})
    assert text_of(replace(request, context=())) == "Why?"


def test_a_prompt_that_is_whole_takes_no_subtitles():
    with pytest.raises(UsageError, match="subtitles stand before a question"):
        Request("USER: Why?", raw=True, context=CUES)


def test_a_summary_gets_shorter_until_there_is_nothing_to_leave_out():
    long = tuple(replace(cue, text="word " * 20) for cue in CUES)
    request = Request("Why?", summary=Summary("a.mp4", long, ("x", "y")))
    error = UsageError("too long")
    shorter = request.shorter(error)
    assert (shorter.summary.words, shorter.notes) == (10, ("the summary is of the first 10 words of each part",))
    assert text_of(shorter).count("word") == 20
    assert shorter.asked()["summary"] == {"path": "a.mp4", "windows": ["x", "y"], "words": 10, "each": 1}
    with pytest.raises(UsageError, match="too long"):
        shorter.shorter(error)


def test_a_shape_is_told_where_there_is_one():
    shape = Constraint("schema", '{"type": "integer"}')
    assert Request("Why?", constraint=shape).asked() == Request("Why?").asked() | {"schema": '{"type": "integer"}'}


def test_choices_are_told_where_there_are_some_and_nothing_is_drawn_for_them():
    plain = Request("Why?", generation=Generation(temperature=0.5, seed=1))
    asked = replace(plain, choices=(" yes", "no"), normalize="tokens").asked()
    assert asked["choices"] == [{"text": "yes"}, {"text": "no"}]
    assert asked["normalize"] == "tokens"
    assert asked["generation"]["do_sample"] is False
    assert plain.asked()["generation"]["do_sample"] is True
    assert not {"choices", "normalize", "logprobs"} & plain.asked().keys()
    assert replace(plain, logprobs=0).asked()["logprobs"] == 0


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"choices": ("yes",)}, "at least two"),
        ({"choices": ("yes", " ")}, "is empty"),
        ({"choices": ("yes", "no", "yes ")}, "'yes' is there twice"),
        ({"choices": ("yes", "\ud800")}, "choice is not valid Unicode"),
        ({"choices": ("yes", "no"), "logprobs": 1}, "generated answer"),
        ({"logprobs": -1}, "from 0 to 100"),
    ],
)
def test_what_cannot_be_scored_is_refused(wrong, said):
    with pytest.raises(UsageError, match=said):
        Request("Why?", **wrong)
