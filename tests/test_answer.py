# SPDX-License-Identifier: Apache-2.0
"""An answer: its record is the command line's, and its pieces come until somebody gives it up."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import replace

import pytest
from answers import CLIP, MODEL, STILL, answered, completion

from llava_cli.answer import Answer, AnswerStream, Prepared
from llava_cli.engine.memory import MemoryPlan
from llava_cli.engine.types import Generation, Query
from llava_cli.media.clip import Clip
from llava_cli.models.messages import ask
from llava_cli.models.prompt import Prompt
from llava_cli.request import Request

PROMPT = Prompt([1] * 90, (STILL, CLIP), (70, 8), 80, "USER: What?", "checkpoint")


def prepared(prompt: Prompt | None = PROMPT, **changes: object) -> Prepared:
    request = Request("What?", ("clip.mp4", "still.png"), **changes)  # type: ignore[arg-type]
    query = Query(ask("What?", [CLIP, STILL]), Generation(), prompt)
    return Prepared(request, (CLIP, STILL), query, decode_s=0.5)


def test_its_record_is_that_of_what_was_asked_shown_and_said():
    answer = Answer(prepared(), completion(), MODEL)
    assert answer.record() == answered()
    assert (answer.prompt_tokens, answer.visual_tokens) == (90, 78)


def test_warnings_are_those_of_the_media_and_then_what_was_changed():
    odd = Clip(CLIP.frames, CLIP.indices, CLIP.times, replace(CLIP.info, warnings=("cut short",)))
    asked = replace(prepared(notes=("fewer frames",)), media=(odd, STILL))
    answer = Answer(asked, completion(media=(STILL, odd)), MODEL)
    assert answer.warnings == ("cut short", "fewer frames")
    assert answer.record()["warnings"] == ["fewer frames"]
    assert answer.record()["media"][0]["warnings"] == ["cut short"]


def test_what_is_only_planned_has_a_record_without_an_answer():
    record = prepared(notes=("fewer frames",)).plan_record(MODEL, MemoryPlan(5.0, 4.0, 3.0, free=20.0, fixed=2.0))
    assert (record["status"], record["question"]) == ("planned", "What?")
    assert record["usage"] == {"prompt_tokens": 90, "visual_tokens": 78}
    assert record["memory"] == {
        "weights": 5, "cache": 4, "activations": 3, "free": 20, "fixed": 2, "total": 14,
    }  # fmt: skip
    assert record["warnings"] == ["fewer frames"]
    assert "answer" not in record


def test_without_a_prompt_nothing_can_be_planned():
    assert prepared(None).tokens == 0
    with pytest.raises(ValueError, match="not known"):
        prepared(None).plan_record(MODEL, MemoryPlan(1, 1, 1, 1))


@pytest.fixture
def ended() -> list[str]:
    return []


@pytest.fixture
def stream(ended: list[str]) -> AnswerStream:
    """Pieces, some of them empty, and a note of when there are no more."""

    def pieces() -> Generator[str, None, Answer]:
        try:
            yield from ("A", "", " cat", "", ".")
            return Answer(prepared(), completion(), MODEL)
        finally:
            ended.append("ended")

    return AnswerStream(pieces())


def test_empty_pieces_are_not_handed_on_and_the_answer_comes_last(stream):
    assert next(stream) == "A"
    assert stream.answer is None
    assert list(stream) == [" cat", "."]
    assert stream.answer is stream.result()
    assert str(stream.answer) == "A cat."
    assert list(stream) == []


def test_the_answer_of_a_stream_that_nobody_read(stream):
    assert stream.result().text == "A cat."


def test_a_stream_that_is_left_ends_what_makes_its_pieces(stream, ended):
    with stream:
        next(stream)
        assert ended == []
    assert ended == ["ended"]
    assert list(stream) == []
    with pytest.raises(RuntimeError, match="closed before its end"):
        stream.result()


def test_closing_it_after_its_end_takes_nothing_away(stream):
    whole = stream.result()
    stream.close()
    assert stream.result() is whole


def test_an_answer_that_was_cut_off_says_so():
    whole, cut = (Answer(prepared(), completion(finish_reason=reason), MODEL) for reason in ("stop", "length"))
    assert (whole.cut, whole.warnings, whole.record()["warnings"]) == (None, (), [])
    assert cut.cut == "the answer was cut off after 4 tokens; --max-new-tokens allows longer ones"
    assert cut.warnings == (cut.cut,)
    assert cut.record()["warnings"] == [cut.cut]
