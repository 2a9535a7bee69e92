# SPDX-License-Identifier: Apache-2.0
"""Questions, and answers that are true of the clip."""

from dataclasses import replace

import pytest

from llava_cli.demo import language, show
from llava_cli.demo.world import Background, ClipSpec, Shape

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
