# SPDX-License-Identifier: Apache-2.0
"""Questions about a clip and the one true answer to each: the fact, stated."""

from __future__ import annotations

from collections.abc import Iterable
from random import Random
from typing import NamedTuple

from llava_cli.demo import grammar
from llava_cli.demo.world import KINDS, SHAPE_COLOURS, Background, ClipSpec, Shape

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


class Question(NamedTuple):
    """One question, what it asks about (`topic`), and its true answer."""

    topic: str
    text: str
    answer: str


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


def ask(spec: ClipSpec, rng: Random, still: bool = False) -> list[Question]:
    """Draw one wording of every question that this clip, or this moment of it, can answer."""

    def put(topic: str, forms: tuple[str, ...], answer: str, **slots: str) -> None:
        asked.append(Question(topic, grammar.fill(forms, rng, still, **slots), answer))

    asked: list[Question] = []
    put("outside", grammar.OUTSIDE, outside(spec, still))
    put("describe", grammar.DESCRIBE, describe(spec, still))
    put("count", grammar.COUNT, count(spec))
    if not spec.shapes:
        return asked + _ask_about_nothing(rng, still)
    put("ground", grammar.GROUND, ground(spec))
    put("shapes", grammar.SHAPES, shapes(spec))
    present = [shape.kind for shape in spec.shapes]
    absent = [name for name in KINDS if name not in present]
    sought = rng.choice(present if rng.random() < 0.5 else absent)
    put("exists", grammar.EXISTS, f"There is {'a' if sought in present else 'no'} {sought}.", k=sought)
    if rng.random() < 0.4:
        missed = rng.choice(absent)
        forms = grammar.COLOUR if still or rng.random() < 0.4 else grammar.MOTION
        put("missing", forms, f"There is no {missed}.", r=f"the {missed}", k=missed, **_two_colours(rng))
    shape = rng.choice(spec.shapes)
    if len(spec.shapes) == 1:
        put("shape", grammar.SHAPE, kind(shape), c=shape.colour)
    elif rng.random() < 0.5:
        put("shape", grammar.WHICH, kind(shape), c=shape.colour)
    referred = _referred(spec, shape, rng, by_colour=False)
    put("colour", grammar.COLOUR, colour(shape), r=referred, k=shape.kind, **_two_colours(rng))
    if still:
        if rng.random() < 0.3:
            put("motion", grammar.MOTION, UNMOVING, r=_referred(spec, shape, rng, by_colour=True))
        return asked
    put("motion", grammar.MOTION, motion(shape), r=_referred(spec, shape, rng, by_colour=True))
    if len(spec.shapes) < 3:
        put("end", grammar.END, last(spec))
        put("first", grammar.FIRST, first(spec))
    return asked


def which(spec: ClipSpec, rng: Random, still: bool = False) -> list[Question]:
    """Draw, for every shape of several, a wording of which one has its colour."""
    if len(spec.shapes) < 2:
        return []
    return [
        Question("shape", grammar.fill(grammar.WHICH, rng, still, c=shape.colour), kind(shape)) for shape in spec.shapes
    ]


def _ask_about_nothing(rng: Random, still: bool) -> list[Question]:
    """Draw questions that take shapes for granted where there are none."""
    slots = {"r": rng.choice(("it", "the shape", f"the {rng.choice(KINDS)}")), "k": rng.choice(KINDS)}
    topics = [grammar.SHAPES, grammar.SHAPE, grammar.GROUND, grammar.EXISTS, grammar.COLOUR, grammar.MOTION]
    if not still:
        topics += [grammar.WHICH, grammar.MOTION, grammar.FIRST, grammar.END]
    return [
        Question("nothing", grammar.fill(forms, rng, still, **slots, **_two_colours(rng)), NOTHING)
        for forms in rng.sample(topics, 4)
    ]


def _two_colours(rng: Random) -> dict[str, str]:
    one, other = rng.sample(SHAPE_COLOURS, 2)
    return {"c": one, "c2": other}


def _referred(spec: ClipSpec, shape: Shape, rng: Random, by_colour: bool) -> str:
    """Draw words for one shape of the clip."""
    words = [f"the {shape.kind}"] * 2
    if by_colour:
        words += [f"the {shape.colour} {shape.kind}", f"the {shape.colour} shape"]
    if len(spec.shapes) == 1:
        words += ["it", "it", "the shape", "the object"]
    return rng.choice(words)


def _named(shape: Shape) -> str:
    article = "an" if shape.colour[0] in "aeiou" else "a"
    return f"{article} {shape.colour} {shape.kind}"


def _listed(spec_shapes: tuple[Shape, ...]) -> str:
    names = [_named(shape) for shape in spec_shapes]
    return names[0] if len(names) == 1 else ", ".join(names[:-1]) + " and " + names[-1]


def _sentence(parts: Iterable[str]) -> str:
    sentence = " and ".join(parts)
    return sentence[0].upper() + sentence[1:] + "."
