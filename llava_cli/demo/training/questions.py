# SPDX-License-Identifier: Apache-2.0
"""Questions about a clip and the one true answer to each."""

from __future__ import annotations

from random import Random
from typing import NamedTuple

from llava_cli.demo import language
from llava_cli.demo.training import grammar
from llava_cli.demo.world import KINDS, SHAPE_COLOURS, ClipSpec, Shape


class Question(NamedTuple):
    """One question, what it asks about (`topic`), and its true answer."""

    topic: str
    text: str
    answer: str


def ask(spec: ClipSpec, rng: Random, still: bool = False) -> list[Question]:
    """Draw one wording of every question that this clip, or this moment of it, can answer."""

    def put(topic: str, forms: tuple[str, ...], answer: str, **slots: str) -> None:
        asked.append(Question(topic, grammar.fill(forms, rng, still, **slots), answer))

    asked: list[Question] = []
    put("outside", grammar.OUTSIDE, language.outside(spec, still))
    put("describe", grammar.DESCRIBE, language.describe(spec, still))
    put("count", grammar.COUNT, language.count(spec))
    if not spec.shapes:
        return asked + _ask_about_nothing(rng, still)
    put("ground", grammar.GROUND, language.ground(spec))
    put("shapes", grammar.SHAPES, language.shapes(spec))
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
        put("shape", grammar.SHAPE, language.kind(shape), c=shape.colour)
    elif rng.random() < 0.5:
        put("shape", grammar.WHICH, language.kind(shape), c=shape.colour)
    referred = _referred(spec, shape, rng, by_colour=False)
    put("colour", grammar.COLOUR, language.colour(shape), r=referred, k=shape.kind, **_two_colours(rng))
    if still:
        if rng.random() < 0.3:
            put("motion", grammar.MOTION, language.UNMOVING, r=_referred(spec, shape, rng, by_colour=True))
        return asked
    put("motion", grammar.MOTION, language.motion(shape), r=_referred(spec, shape, rng, by_colour=True))
    if len(spec.shapes) < 3:
        put("end", grammar.END, language.last(spec))
        put("first", grammar.FIRST, language.first(spec))
    return asked


def which(spec: ClipSpec, rng: Random, still: bool = False) -> list[Question]:
    """Draw, for every shape of several, a wording of which one has its colour."""
    if len(spec.shapes) < 2:
        return []
    return [
        Question("shape", grammar.fill(grammar.WHICH, rng, still, c=shape.colour), language.kind(shape))
        for shape in spec.shapes
    ]


def _ask_about_nothing(rng: Random, still: bool) -> list[Question]:
    """Draw questions that take shapes for granted where there are none."""
    slots = {"r": rng.choice(("it", "the shape", f"the {rng.choice(KINDS)}")), "k": rng.choice(KINDS)}
    topics = [grammar.SHAPES, grammar.SHAPE, grammar.GROUND, grammar.EXISTS, grammar.COLOUR, grammar.MOTION]
    if not still:
        topics += [grammar.WHICH, grammar.MOTION, grammar.FIRST, grammar.END]
    return [
        Question("nothing", grammar.fill(forms, rng, still, **slots, **_two_colours(rng)), language.NOTHING)
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
