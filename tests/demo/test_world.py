# SPDX-License-Identifier: Apache-2.0
"""What clips contain."""

import math

import pytest

from llava_cli.demo.world import (
    CONTRAST,
    DIRECTIONS,
    KINDS,
    SHAPE_COLOURS,
    Background,
    ClipSpec,
    dice,
    name_rgb,
    sample_actions,
    sample_clip,
    sample_rgb,
)

SPECS = [sample_clip(dice("world", number)) for number in range(60)]


def test_a_seed_makes_the_same_clip_again() -> None:
    assert [sample_clip(dice("world", number)) for number in range(60)] == SPECS
    assert sample_clip(dice("other")) != SPECS[0]


@pytest.mark.parametrize("spec", SPECS)
def test_shapes_differ_stay_inside_and_stand_out(spec: ClipSpec) -> None:
    assert isinstance(spec.ground, Background)
    kinds, colours = [s.kind for s in spec.shapes], [s.colour for s in spec.shapes]
    assert kinds == sorted(set(kinds), key=KINDS.index)
    assert len(set(colours)) == len(colours)
    assert spec.ground.colour not in colours
    for shape in spec.shapes:
        assert math.dist(shape.rgb, spec.ground.first) >= CONTRAST
        for step in range(9):
            x, y, radius, _ = shape.at(step / 8)
            assert 0.8 * radius < x < 1 - 0.8 * radius
            assert 0.8 * radius < y < 1 - 0.8 * radius


@pytest.mark.parametrize("spec", [spec for spec in SPECS if len(spec.shapes) == 1])
def test_a_shape_does_what_its_actions_say(spec: ClipSpec) -> None:
    (shape,) = spec.shapes
    turn = shape.switch if len(shape.actions) == 2 else 1.0
    for action, start, end in zip(shape.actions, (0.0, turn), (turn - 1e-6, 1.0), strict=False):
        before, after = shape.at(start), shape.at(end)
        moved = (after.x - before.x, after.y - before.y)
        wanted = DIRECTIONS.get(action, (0, 0))
        assert [round(math.copysign(1, m)) if abs(m) > 0.02 else 0 for m in moved] == [
            round(math.copysign(1, w)) if w else 0 for w in wanted
        ]
        grown = after.radius / before.radius
        assert (grown > 1.3, grown < 0.8) == (action == "grow", action == "shrink")
        assert before.visible == (action != "appear" and not (action == "disappear" and len(shape.actions) == 2))
        assert after.visible == (action != "disappear")


def test_two_phases_are_for_shapes_that_are_alone() -> None:
    for number in range(300):
        spec = sample_clip(dice("phases", number))
        assert len(spec.shapes) == 1 or all(len(shape.actions) == 1 for shape in spec.shapes)
    drawn = {sample_actions(dice("actions", number), two_phases=True) for number in range(900)}
    assert ("still", "disappear") not in drawn
    assert all(len(actions) == 1 or actions[0] != actions[1] for actions in drawn)


@pytest.mark.parametrize("colour", SHAPE_COLOURS)
def test_a_shade_has_one_name(colour: str) -> None:
    assert {name_rgb(sample_rgb(colour, dice(colour, number))) for number in range(50)} == {colour}


@pytest.mark.parametrize(
    ("rgb", "name"),
    [((255, 0, 0), "red"), ((0, 128, 0), "green"), ((0, 0, 255), "blue"), ((255, 255, 0), "yellow"),
     ((0, 255, 255), "cyan"), ((255, 165, 0), "orange"), ((255, 140, 0), "orange"), ((0, 0, 0), "black"),
     ((255, 255, 255), "white"), ((128, 128, 128), "grey"), ((120, 90, 60), None)],
)  # fmt: skip
def test_names_of_pure_colours(rgb: tuple[int, int, int], name: str | None) -> None:
    assert name_rgb(rgb) == name
