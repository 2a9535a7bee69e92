# SPDX-License-Identifier: Apache-2.0
"""The demo model's world: what a clip contains, and where everything is at a given time.

Positions and radii are fractions of the central square of the picture (x to the right, y down), because that square is
what the model sees of a video. Times run from 0 (first frame) to 1 (end of the clip).
"""

from __future__ import annotations

import colorsys
import math
from dataclasses import dataclass, field
from random import Random
from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

RGB = tuple[int, int, int]
Point = tuple[float, float]
Range = tuple[float, float]

KINDS = ("circle", "square", "triangle", "star")

# Every name covers a range of hue (degrees), saturation and value, so that the pure web colours fall inside it.
HUES: dict[str, tuple[Range, Range, Range]] = {
    "red": ((-8, 8), (0.78, 1), (0.65, 1)),
    "orange": ((22, 40), (0.85, 1), (0.88, 1)),
    "yellow": ((50, 61), (0.72, 1), (0.85, 1)),
    "green": ((95, 150), (0.6, 1), (0.4, 1)),
    "cyan": ((174, 190), (0.7, 1), (0.75, 1)),
    "blue": ((212, 242), (0.7, 1), (0.55, 1)),
    "purple": ((268, 292), (0.55, 1), (0.45, 0.85)),
    "pink": ((312, 340), (0.35, 0.75), (0.9, 1)),
    "white": ((0, 360), (0, 0.06), (0.93, 1)),
    "black": ((0, 360), (0, 1), (0, 0.1)),
    "grey": ((0, 360), (0, 0.06), (0.38, 0.8)),
}
COLOURS = tuple(HUES)
SHAPE_COLOURS = tuple(name for name in COLOURS if name != "grey")

STRAIGHT: dict[str, Point] = {"left": (-1, 0), "right": (1, 0), "up": (0, -1), "down": (0, 1)}
DIAGONAL: dict[str, Point] = {
    "up-left": (-0.75, -0.75),
    "up-right": (0.75, -0.75),
    "down-left": (-0.75, 0.75),
    "down-right": (0.75, 0.75),
}
DIRECTIONS = STRAIGHT | DIAGONAL
ACTIONS = (*DIRECTIONS, "still", "grow", "shrink", "appear", "disappear")
STEADY = (*STRAIGHT, "still", "grow", "shrink")
"""Actions that two-phase clips are made of; the second phase may also be "disappear"."""

SMALLEST, LARGEST = 0.075, 0.3
CONTRAST = 95.0
"""Least distance in RGB between a shape and its background."""


class State(NamedTuple):
    """One shape at one moment."""

    x: float
    y: float
    radius: float
    visible: bool


@dataclass(frozen=True)
class Shape:
    """A shape and what it does. `path` and `radii` hold one more entry than there are actions."""

    kind: str
    colour: str
    rgb: RGB
    actions: tuple[str, ...]
    path: tuple[Point, ...]
    radii: tuple[float, ...]
    switch: float = 0.5
    """Time of the second action, or of appearing and disappearing."""
    hold: Range = (0.0, 0.0)
    """Rest before and after the movement, as fractions of the clip."""
    ease: bool = False
    tilt: float = 0.0
    """Degrees."""
    stretch: float = 1.0
    """Width over height."""

    def at(self, time: float) -> State:
        """Return where the shape is, how large, and whether it is there."""
        if len(self.actions) == 1:
            before, after = self.hold
            leg, part = 0, min(max((time - before) / (1 - before - after), 0.0), 1.0)
            if self.ease:
                part = 0.6 * part * part * (3 - 2 * part) + 0.4 * part
        elif time < self.switch:
            leg, part = 0, time / self.switch
        else:
            leg, part = 1, (time - self.switch) / (1 - self.switch)
        (x0, y0), (x1, y1) = self.path[leg : leg + 2]
        r0, r1 = self.radii[leg : leg + 2]
        visible = True
        if self.actions[0] == "appear":
            visible = time >= self.switch
        elif self.actions[-1] == "disappear":
            visible = time < self.switch
        return State(x0 + (x1 - x0) * part, y0 + (y1 - y0) * part, r0 + (r1 - r0) * part, visible)

    def action_at(self, time: float) -> str:
        """Return what the shape is doing at that time; resting before and after a movement counts as the movement."""
        return self.actions[0] if len(self.actions) == 1 or time < self.switch else self.actions[1]


@dataclass(frozen=True)
class Background:
    """A plain ground between two shades of one colour."""

    colour: str
    first: RGB
    second: RGB
    pattern: str = "rows"
    """How the shades mix: "rows", "columns", "blotches" or "stripes"."""
    grain: float = 0.0
    """Standard deviation of the noise, in grey levels."""
    seed: int = 0


class Scenery(Protocol):
    """A ground that is anything but simple shapes, and that draws itself."""

    def render(self, times: list[float], width: int, height: int) -> npt.NDArray[np.uint8]:
        """Return the frames at these times (0 to 1), uint8 [frames, height, width, 3] RGB."""


@dataclass(frozen=True)
class ClipSpec:
    """What a clip shows. A ground that is no `Background` holds no shapes.

    Raises:
        ValueError: shapes on such a ground.
    """

    ground: Background | Scenery
    shapes: tuple[Shape, ...] = field(default=())

    def __post_init__(self) -> None:
        if self.shapes and not isinstance(self.ground, Background):
            raise ValueError("a scene holds no shapes")


def dice(*place: object) -> Random:
    """Return the random numbers that belong to a place, such as a seed, a stage and a step, and to nothing else."""
    return Random("/".join(map(str, place)))  # noqa: S311 (no secrets here)


def sample_rgb(colour: str, rng: Random) -> RGB:
    """Draw one shade that goes by that name."""
    hue, saturation, value = (rng.uniform(*bounds) for bounds in HUES[colour])
    red, green, blue = colorsys.hsv_to_rgb(hue % 360 / 360, saturation, value)
    return round(255 * red), round(255 * green), round(255 * blue)


def name_rgb(rgb: RGB) -> str | None:
    """Return the name that this shade goes by, None when it lies between the names."""
    hue, saturation, value = colorsys.rgb_to_hsv(*(channel / 255 for channel in rgb))
    for name, (hues, saturations, values) in HUES.items():
        turned = any(_within(degrees, hues, slack=2) for degrees in (360 * hue, 360 * hue - 360))
        if turned and _within(saturation, saturations, slack=0.01) and _within(value, values, slack=0.01):
            return name
    return None


def _within(number: float, bounds: Range, slack: float) -> bool:
    """Return whether a number lies between the bounds, or as near as rounding to whole grey levels may bring it."""
    return bounds[0] - slack <= number <= bounds[1] + slack


def sample_actions(rng: Random, two_phases: bool) -> tuple[str, ...]:
    """Draw what a shape does: one action, or two in a row."""
    chance = rng.random()
    if chance < 0.1:
        return ("appear",)
    if chance < 0.2:
        return ("disappear",)
    if two_phases and chance < 0.62:
        while True:
            first, second = rng.choice(STEADY), rng.choice((*STEADY, "disappear"))
            # Resting and then vanishing is plain "disappear".
            if first != second and (first, second) != ("still", "disappear"):
                return first, second
    return (rng.choice((*STRAIGHT, *DIRECTIONS, "still", "still", "grow", "grow", "shrink", "shrink")),)


def sample_shape(rng: Random, kind: str, colour: str, actions: tuple[str, ...], radius: Range) -> Shape | None:
    """Draw a shape that does these actions inside the square; None when the draw does not fit."""
    x = y = 0.0
    size = rng.uniform(*radius)
    path, radii = [(x, y)], [size]
    for action in actions:
        if action in DIRECTIONS:
            way = rng.uniform(0.22, 0.44) if len(actions) == 2 else rng.uniform(0.25, 0.65)
            x, y = x + DIRECTIONS[action][0] * way, y + DIRECTIONS[action][1] * way
        elif action == "grow":
            size *= rng.uniform(1.6, 2.5)
        elif action == "shrink":
            size /= rng.uniform(1.6, 2.5)
        path.append((x, y))
        radii.append(size)
    if not SMALLEST <= min(radii) <= max(radii) <= LARGEST:
        return None
    margin = max(radii) * rng.uniform(0.85, 1.2)
    corner = [(margin - min(axis), 1 - margin - max(axis)) for axis in zip(*path, strict=True)]
    if any(low > high for low, high in corner):
        return None
    dx, dy = (rng.uniform(low, high) for low, high in corner)
    moving = len(actions) == 1 and actions[0] in (*DIRECTIONS, "grow", "shrink")
    held = moving and rng.random() < 0.35
    return Shape(
        kind=kind,
        colour=colour,
        rgb=sample_rgb(colour, rng),
        actions=actions,
        path=tuple((px + dx, py + dy) for px, py in path),
        radii=tuple(radii),
        switch=_sample_switch(rng, actions),
        hold=(rng.uniform(0, 0.1), rng.uniform(0, 0.1)) if held else (0.0, 0.0),
        ease=moving and rng.random() < 0.3,
        tilt=rng.uniform(-15, 15),
        stretch=rng.uniform(0.9, 1.1),
    )


def _sample_switch(rng: Random, actions: tuple[str, ...]) -> float:
    """Draw the turning time so that each side of it shows in at least two of eight frames."""
    if len(actions) == 1:
        return rng.uniform(0.35, 0.7)
    return rng.uniform(0.5, 0.72) if actions[-1] == "disappear" else rng.uniform(0.4, 0.6)


def sample_background(rng: Random, shapes: tuple[Shape, ...]) -> Background | None:
    """Draw a plain ground on which every shape stands out; None when the draw does not."""
    common = rng.random() < 0.6
    colour = rng.choice(("black", "white", "grey", "grey")) if common else rng.choice(COLOURS)
    first = second = sample_rgb(colour, rng)
    if rng.random() < 0.4:
        second = sample_rgb(colour, rng)
    for shape in shapes:
        if shape.colour == colour or any(math.dist(shape.rgb, shade) < CONTRAST for shade in (first, second)):
            return None
    pattern = rng.choice(("rows", "columns", "blotches", "stripes"))
    return Background(colour, first, second, pattern, rng.choice((0.0, 0.0, 4.0, 10.0)), rng.getrandbits(30))


def sample_clip(rng: Random, count: int | None = None, still: bool = False) -> ClipSpec:
    """Draw a clip with `count` shapes (0 to 3) on a plain ground; `still` keeps them all at rest."""
    if count is None:
        count = rng.choices((0, 1, 2, 3), (4, 64, 22, 10))[0]
    while True:
        shapes = _sample_shapes(rng, count, still)
        background = sample_background(rng, shapes) if shapes is not None else None
        if shapes is not None and background is not None:
            return ClipSpec(background, shapes)


def _sample_shapes(rng: Random, count: int, still: bool) -> tuple[Shape, ...] | None:
    """Draw shapes of different kinds and colours, which never touch, in the order of `KINDS`."""
    kinds = sorted(rng.sample(KINDS, count), key=KINDS.index)
    colours = rng.sample(SHAPE_COLOURS, count)
    shapes: list[Shape] = []
    for kind, colour in zip(kinds, colours, strict=True):
        actions = ("still",) if still else _sample_actions_among(rng, count)
        radius = (0.09, 0.26) if count == 1 else (0.085, 0.15)
        shape = sample_shape(rng, kind, colour, actions, radius)
        if shape is None or any(touch(shape, other) for other in shapes):
            return None
        shapes.append(shape)
    return tuple(shapes)


def _sample_actions_among(rng: Random, count: int) -> tuple[str, ...]:
    """Draw what a shape does beside others: the more shapes, the simpler."""
    if count == 3:
        return (rng.choice(("still", "still", *STRAIGHT)),)
    return sample_actions(rng, two_phases=count == 1)


def touch(one: Shape, other: Shape) -> bool:
    """Return whether two shapes come close at any time, seen or not."""
    for step in range(9):
        a, b = one.at(step / 8), other.at(step / 8)
        if math.hypot(a.x - b.x, a.y - b.y) < 1.15 * (a.radius + b.radius):
            return True
    return False
