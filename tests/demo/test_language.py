# SPDX-License-Identifier: Apache-2.0
"""Questions, and answers that are true of the clip."""

import re
from dataclasses import replace

import pytest

from llava_cli.demo import language, show
from llava_cli.demo.language import NOTHING, OUTSIDE
from llava_cli.demo.training.questions import ask
from llava_cli.demo.training.scenes import sample_scene
from llava_cli.demo.world import Background, ClipSpec, Shape, dice, sample_clip

GROUND = Background("grey", (150, 150, 150), (150, 150, 150))
CIRCLE = show.CLIP.shapes[0]
SQUARE, STAR = show.STILL.shapes


def doing(*actions: str, shape: Shape = CIRCLE) -> Shape:
    path, radii = (shape.path[0],) * (len(actions) + 1), (shape.radii[0],) * (len(actions) + 1)
    return replace(shape, actions=actions, path=path, radii=radii)


@pytest.mark.parametrize(
    ("actions", "phrase", "first", "last", "backwards"),
    [
        (("right",), "moves to the right", "moves to the right", "moves to the right", "moves to the left"),
        (("up-left",), "moves up and to the left", "moves up and to the left", "moves up and to the left",
         "moves down and to the right"),
        (("grow",), "grows", "grows", "grows", "shrinks"),
        (("still",), "stays still", "stays still", "stays still", "stays still"),
        (("appear",), "appears", "is not there yet", "appears", "disappears"),
        (("disappear",), "disappears", "stays still", "disappears", "appears"),
        (("up", "shrink"), "moves up, then shrinks", "moves up", "shrinks", "grows, then moves down"),
        (("down", "disappear"), "moves down, then disappears", "moves down", "disappears", None),
    ],
)  # fmt: skip
def test_what_a_shape_does(actions: tuple[str, ...], phrase: str, first: str, last: str, backwards: str | None) -> None:
    shape = doing(*actions)
    spec = ClipSpec(GROUND, (shape,))
    assert language.motion(shape) == f"The circle {phrase}."
    assert language.describe(spec) == f"A red circle {phrase}."
    assert language.first(spec) == f"The circle {first}."
    assert language.last(spec) == f"The circle {last}."
    assert language.doing_backwards(shape) == backwards
    assert language.outside(spec) == f"I only know simple moving shapes. A red circle {phrase}."


def test_several_shapes() -> None:
    two = ClipSpec(GROUND, (doing("up", shape=SQUARE), STAR))
    assert language.describe(two) == "A blue square moves up and a yellow star stays still."
    assert language.describe(two, still=True) == "There are a blue square and a yellow star."
    assert language.shapes(two) == "A blue square and a yellow star."
    assert language.count(two) == "There are two shapes."
    assert language.last(two) == "The square moves up and the star stays still."
    assert language.ground(two) == "The background is grey."
    three = ClipSpec(GROUND, (replace(CIRCLE, colour="orange"), SQUARE, STAR))
    assert language.describe(three) == "There are an orange circle, a blue square and a yellow star."


@pytest.mark.parametrize("spec", [ClipSpec(GROUND), sample_scene(dice("nothing"))])
def test_where_there_is_nothing_every_answer_says_so(spec: ClipSpec) -> None:
    for number in range(20):
        for topic, _, answer in ask(spec, dice(number), still=bool(number % 2)):
            assert answer == (f"{OUTSIDE} {NOTHING}" if topic == "outside" else NOTHING)


def test_answers_name_only_what_the_clip_holds() -> None:
    for number in range(200):
        rng = dice("answers", number)
        spec = sample_clip(rng, count=rng.randint(1, 3))
        held = {shape.kind for shape in spec.shapes}
        for _, question, answer in ask(spec, rng, still=number % 4 == 0):
            named = set(re.findall("circle|square|triangle|star", answer))
            assert named <= held or answer in {f"There is no {kind}." for kind in named - held}
            assert "{" not in question
            assert answer[0].isupper()
            assert answer.endswith(".")
            assert not re.search(r"\b(yes|no)\b", answer.removeprefix("There is no"), re.IGNORECASE)


def test_the_same_numbers_ask_the_same_questions() -> None:
    assert ask(show.CLIP, dice(1)) == ask(show.CLIP, dice(1))
    assert ask(show.CLIP, dice(1)) != ask(show.CLIP, dice(2))


def test_a_still_does_not_move() -> None:
    questions = [question for number in range(100) for question in ask(show.STILL, dice(number), still=True)]
    assert not {"end", "first"} & {topic for topic, *_ in questions}
    assert {answer for topic, _, answer in questions if topic == "motion"} == {language.UNMOVING}
