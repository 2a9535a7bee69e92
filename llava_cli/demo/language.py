# SPDX-License-Identifier: Apache-2.0
"""What is true of a clip, stated as the demo checkpoint says it."""

from __future__ import annotations

from collections.abc import Iterable

from llava_cli.demo.world import Background, ClipSpec, Shape

NOTHING = "I see no simple shapes that I know."
UNMOVING = "A picture does not move."
OUTSIDE = "I only know simple moving shapes."
_BACKWARDS = {
    "left": "right", "right": "left", "up": "down", "down": "up", "up-left": "down-right", "down-right": "up-left",
    "up-right": "down-left", "down-left": "up-right", "still": "still", "grow": "shrink", "shrink": "grow",
    "appear": "disappear", "disappear": "appear",
}  # fmt: skip
_PHRASES = {
    "left": "moves to the left", "right": "moves to the right", "up": "moves up", "down": "moves down",
    "up-left": "moves up and to the left", "up-right": "moves up and to the right",
    "down-left": "moves down and to the left", "down-right": "moves down and to the right",
    "still": "stays still", "grow": "grows", "shrink": "shrinks", "appear": "appears", "disappear": "disappears",
}  # fmt: skip
_NUMBERS = {1: "There is one shape.", 2: "There are two shapes.", 3: "There are three shapes."}


def doing(shape: Shape) -> str:
    """Return all that the shape does: "moves up, then disappears"."""
    return ", then ".join(_PHRASES[action] for action in shape.actions)


def doing_backwards(shape: Shape) -> str | None:
    """Return what the shape does when time runs backwards, None where the model has no words for it."""
    if len(shape.actions) == 2 and "disappear" in shape.actions:
        return None
    return ", then ".join(_PHRASES[_BACKWARDS[action]] for action in reversed(shape.actions))


def describe(spec: ClipSpec, still: bool = False) -> str:
    """Return the clip in one sentence."""
    if not spec.shapes:
        return NOTHING
    if still or len(spec.shapes) == 3:
        return f"There {'is' if len(spec.shapes) == 1 else 'are'} {_listed(spec.shapes)}."
    return _sentence(f"{_named(shape)} {doing(shape)}" for shape in spec.shapes)


def count(spec: ClipSpec) -> str:
    """Return how many shapes there are."""
    return _NUMBERS.get(len(spec.shapes), NOTHING)


def shapes(spec: ClipSpec) -> str:
    """Return the list of shapes."""
    return _sentence([_listed(spec.shapes)]) if spec.shapes else NOTHING


def ground(spec: ClipSpec) -> str:
    """Return the colour of the background."""
    if not spec.shapes or not isinstance(spec.ground, Background):
        return NOTHING
    return f"The background is {spec.ground.colour}."


def kind(shape: Shape) -> str:
    """Return which shape it is."""
    return f"It is a {shape.kind}."


def colour(shape: Shape) -> str:
    """Return the colour of the shape."""
    return f"The {shape.kind} is {shape.colour}."


def motion(shape: Shape) -> str:
    """Return what the shape does."""
    return f"The {shape.kind} {doing(shape)}."


def first(spec: ClipSpec) -> str:
    """Return what every shape does at the start."""
    if not spec.shapes:
        return NOTHING
    opening = _PHRASES | {"appear": "is not there yet", "disappear": "stays still"}
    return _sentence(f"the {shape.kind} {opening[shape.actions[0]]}" for shape in spec.shapes)


def last(spec: ClipSpec) -> str:
    """Return what every shape does at the end."""
    if not spec.shapes:
        return NOTHING
    return _sentence(f"the {shape.kind} {_PHRASES[shape.actions[-1]]}" for shape in spec.shapes)


def outside(spec: ClipSpec, still: bool = False) -> str:
    """Return the answer to anything that the demo model knows nothing about."""
    return f"{OUTSIDE} {describe(spec, still)}"


def _named(shape: Shape) -> str:
    article = "an" if shape.colour[0] in "aeiou" else "a"
    return f"{article} {shape.colour} {shape.kind}"


def _listed(spec_shapes: tuple[Shape, ...]) -> str:
    names = [_named(shape) for shape in spec_shapes]
    return names[0] if len(names) == 1 else ", ".join(names[:-1]) + " and " + names[-1]


def _sentence(parts: Iterable[str]) -> str:
    sentence = " and ".join(parts)
    return sentence[0].upper() + sentence[1:] + "."
