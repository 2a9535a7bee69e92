# SPDX-License-Identifier: Apache-2.0
"""A prompt that is too long is refused before any work, with the number of frames that would fit."""

from __future__ import annotations

import dataclasses

import pytest
from answering import answers_of
from pictures import clip, still

from llava_cli.engine.context import TooLong, first_frames, fitting_prompt
from llava_cli.engine.local import LocalEngine
from llava_cli.engine.types import Generation
from llava_cli.models.checkpoint import with_linear_rope
from llava_cli.models.messages import ask, raw
from llava_cli.models.prompt import Placeholder
from llava_cli.models.registry import family_of


@pytest.fixture
def short(engine: LocalEngine, monkeypatch: pytest.MonkeyPatch) -> LocalEngine:
    """The tiny checkpoint with room for 100 tokens."""
    config = engine.family.checkpoint.config
    text = config["text_config"] | {"max_position_embeddings": 100}
    checkpoint = dataclasses.replace(engine.family.checkpoint, config=config | {"text_config": text})
    monkeypatch.setattr(engine, "family", family_of(checkpoint))
    return engine


def length(engine: LocalEngine, media: list) -> int:
    return len(engine.family.prompt(engine._tokenizer, ask("Why?", media)).ids)


def test_the_named_number_of_frames_fits_and_one_more_does_not(short):
    asked = ask("Why?", [clip(60, 56, 56), clip(9, 56, 56)])
    with pytest.raises(TooLong, match=r"--frames \d+ would fit") as raised:
        fitting_prompt(short.family, short._tokenizer, asked, 20)
    frames = raised.value.frames
    assert len(fitting_prompt(short.family, short._tokenizer, first_frames(asked, frames), 20).ids) + 20 <= 100
    with pytest.raises(TooLong):
        fitting_prompt(short.family, short._tokenizer, first_frames(asked, frames + 1), 20)


def test_where_not_even_one_frame_fits_no_number_is_named(short):
    with pytest.raises(TooLong, match="shorter text") as raised:
        fitting_prompt(short.family, short._tokenizer, ask("Why? " * 90, [clip(8, 56, 56)]), 20)
    assert raised.value.frames == 0


def test_stills_alone_can_be_too_many(short):
    with pytest.raises(TooLong, match="fewer media"):
        fitting_prompt(short.family, short._tokenizer, ask("Why?", [still(56, 56), still(56, 56, 1)]), 20)


def test_the_engine_itself_refuses(short):
    with pytest.raises(TooLong):
        answers_of(short, [ask("Why?", [clip(60, 56, 56)])], Generation(4))


def test_stretched_positions_make_room(engine, folder):
    from llava_cli.engine.loader import load
    from llava_cli.engine.types import LoadOptions

    stretched = family_of(with_linear_rope(engine.family.checkpoint, 4))
    assert stretched.context == 4 * 2048
    loaded = load(stretched, LoadOptions(device="cpu", dtype="float32"))
    parameters = loaded._model.config.text_config.rope_parameters
    assert (parameters["rope_type"], parameters["factor"]) == ("linear", 4)
    asked = [ask("Why?", [clip(8, 56, 56)])]
    assert answers_of(loaded, asked, Generation(16))[0].text != answers_of(engine, asked, Generation(16))[0].text


def test_a_mark_for_each_frame_fits_no_other_number_of_frames(engine, monkeypatch):
    """So none is named where a raw prompt is too long."""
    monkeypatch.setattr(type(engine.family), "context", 30)

    def frame_by_frame(medium):
        return (Placeholder(medium, "image", 4),) * len(medium.frames)

    monkeypatch.setattr(engine.family, "placeholders", frame_by_frame)
    with pytest.raises(TooLong, match="shorter text"):
        fitting_prompt(engine.family, engine._tokenizer, raw("<image>" * 8, [clip(8, 56, 56)]), 20)
    with pytest.raises(TooLong, match=r"--frames \d would fit"):
        fitting_prompt(engine.family, engine._tokenizer, raw("<video>", [clip(8, 56, 56)]), 20)
