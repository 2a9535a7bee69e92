# SPDX-License-Identifier: Apache-2.0
"""The forms of questions: every slot is filled, and a seed asks the same again."""

from random import Random

import pytest

from llava_cli.demo.training import grammar

TOPICS = {
    name: forms
    for name, forms in vars(grammar).items()
    if name.isupper()
    and not name.startswith("_")
    and isinstance(forms, tuple)
    and any("{" in form or "?" in form for form in forms)
}


def test_the_topics_are_found() -> None:
    assert {"DESCRIBE", "COUNT", "COLOUR", "MOTION", "END", "OUTSIDE"} <= set(TOPICS)


@pytest.mark.parametrize("topic", TOPICS)
@pytest.mark.parametrize("still", [False, True])
def test_every_form_can_be_said(topic: str, still: bool) -> None:
    rng = Random(topic)
    for form in TOPICS[topic]:
        for _ in range(4):
            said = grammar.fill((form,), rng, still, r="the star", k="star", c="red", c2="blue")
            assert said.strip() == said
            assert not set("{}|") & set(said)
            assert len(said) > 2


def test_a_form_names_the_shape_and_the_medium_that_are_meant() -> None:
    said = {grammar.fill(("Is {r} in the {v}?",), Random(seed), True, r="the star").lower() for seed in range(60)}
    assert all("the star" in one for one in said)
    assert {word for one in said for word in ("image", "picture", "photo", "video", "clip") if word in one} == {
        "image", "picture", "photo",
    }  # fmt: skip


def test_the_same_numbers_say_the_same_and_people_say_it_in_many_ways() -> None:
    said = [[grammar.fill(("What colour is it?",), Random(seed), False) for seed in range(80)] for _ in range(2)]
    assert said[0] == said[1]
    assert {"What colour is it?", "What color is it?", "What colour is it"} <= set(said[0])
