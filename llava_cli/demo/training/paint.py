# SPDX-License-Identifier: Apache-2.0
"""Canvases that are not simple shapes: noise, landscapes, rooms, people, text, patterns, unknown figures.

They teach the demo model when to say that it sees nothing it knows. Every painter takes a random generator and a size,
and returns float32 [height, width, 3] in 0..255; the caller clips.
"""

from __future__ import annotations

import string
from collections.abc import Callable

import cv2
import numpy as np

from llava_cli.demo.training.canvas import (
    Canvas,
    Generator,
    Mask,
    blend,
    blur,
    filled,
    fractal,
    natural_colour,
    oval,
    ramp,
)


def noise(rng: Generator, height: int, width: int) -> Canvas:
    """Coloured fractal noise: clouds, stone, foliage, static."""
    if rng.random() < 0.15:
        return rng.uniform(0, 255, (height, width, 3)).astype(np.float32)
    luma, chroma = fractal(rng, height, width), fractal(rng, height, width, channels=3)
    base = np.array(natural_colour(rng, 40, 210), np.float32)
    return base + rng.uniform(10, 70) * luma + rng.uniform(0, 40) * chroma


def soft(rng: Generator, height: int, width: int) -> Canvas:
    """A gradient with blurred blobs: bokeh, out-of-focus light."""
    picture = ramp(rng, height, width)
    for _ in range(rng.integers(0, 9)):
        centre = (rng.uniform(0, width), rng.uniform(0, height))
        radii = (rng.uniform(0.05, 0.5) * width, rng.uniform(0.05, 0.5) * height)
        mask = oval(height, width, centre, radii, rng.uniform(0, 180)) * np.float32(rng.uniform(0.3, 1))
        picture = blend(picture, natural_colour(rng), mask)
    return blur(picture, rng.uniform(0.07, 0.2) * height)


def plain(rng: Generator, height: int, width: int) -> Canvas:
    """Black, white, one colour, or a gradient of any two."""
    dice = rng.random()
    if dice < 0.4:
        return np.full((height, width, 3), rng.choice([0, 0, 16, 235, 255]), np.float32)
    if dice < 0.7:
        return np.broadcast_to(rng.uniform(0, 255, 3).astype(np.float32), (height, width, 3)).copy()
    first, last = (tuple(rng.uniform(0, 255, 3)) for _ in range(2))
    return ramp(rng, height, width, first, last)


def landscape(rng: Generator, height: int, width: int) -> Canvas:
    """Sky, hills in layers, trees or houses."""
    sky = ramp(rng, height, width, natural_colour(rng, 120, 255), natural_colour(rng, 120, 255))
    picture = sky + rng.uniform(0, 25) * np.maximum(fractal(rng, height, width), 0)
    x = np.arange(width)
    for layer in range(rng.integers(1, 5)):
        level = height * (0.35 + 0.17 * layer + rng.uniform(-0.08, 0.08))
        ridge = level + fractal(rng, 1, width, 0.55)[0, :, 0] * height * rng.uniform(0.01, 0.1)
        mask = np.clip(np.arange(height)[:, None] - ridge[None], 0, 1).astype(np.float32)
        texture = np.array(natural_colour(rng, 20, 150), np.float32) + rng.uniform(3, 30) * fractal(
            rng, height, width, 0.9
        )
        picture = blend(picture, texture, mask)
        for _ in range(rng.integers(0, 8)):
            spot = int(rng.integers(width))
            size = height * rng.uniform(0.03, 0.16)
            picture = _tree_or_house(rng, picture, float(x[spot]), float(ridge[spot]), size)
    return picture


def _tree_or_house(rng: Generator, picture: Canvas, x: float, y: float, size: float) -> Canvas:
    height, width = picture.shape[:2]
    colour = natural_colour(rng, 15, 170)
    if rng.random() < 0.5:
        mask = np.zeros((height, width), np.float32)
        for _ in range(7):
            dx, dy = rng.normal(0, 0.5, 2) * size
            mask = np.maximum(mask, oval(height, width, (x + dx, y - size + dy), (size * 0.5, size * 0.45)))
        mask *= np.clip(0.7 + 0.4 * fractal(rng, height, width, 1.0)[..., 0], 0, 1)
        return blend(picture, colour, mask)
    wide, tall = size * rng.uniform(0.6, 2), size * rng.uniform(0.8, 4)
    box = np.array([[x - wide / 2, y - tall], [x + wide / 2, y - tall], [x + wide / 2, y + 2], [x - wide / 2, y + 2]])
    picture = blend(picture, colour, filled(height, width, box))
    for _ in range(rng.integers(0, 10)):
        cx, cy = x + rng.uniform(-0.4, 0.4) * wide, y - rng.uniform(0.1, 0.9) * tall
        pane = np.array([[cx, cy], [cx + 3, cy], [cx + 3, cy + 4], [cx, cy + 4]], np.float64)
        picture = blend(picture, natural_colour(rng), filled(height, width, pane))
    return picture


def room(rng: Generator, height: int, width: int) -> Canvas:
    """A wall and a floor in perspective, with furniture as shaded boxes."""
    picture = ramp(rng, height, width)
    floor = height * rng.uniform(0.55, 0.85)
    tip = rng.uniform(-0.08, 0.08) * height
    edge = np.array([[0, floor - tip], [width, floor + tip], [width, height], [0, height]])
    boards = ramp(rng, height, width) + rng.uniform(0, 12) * fractal(rng, height, width, 0.9)
    picture = blend(picture, boards, filled(height, width, edge))
    for _ in range(rng.integers(3, 14)):
        wide, tall = rng.uniform(0.06, 0.5) * width, rng.uniform(0.06, 0.6) * height
        x, y = rng.uniform(-0.1, 1) * width, rng.uniform(0, 0.9) * height
        slant = rng.normal(0, 0.12, (4, 2)) * (wide, tall)
        corners = np.array([[x, y], [x + wide, y], [x + wide, y + tall], [x, y + tall]]) + slant
        surface = ramp(rng, height, width)
        if rng.random() < 0.5:
            surface = surface + rng.uniform(5, 40) * fractal(rng, height, width, 0.9)
        mask = filled(height, width, corners)
        if rng.random() < 0.6:
            shadow = blur(np.roll(mask, int(rng.integers(1, 7)), axis=(0, 1)), rng.uniform(1, 6))
            picture = picture * (1 - 0.5 * shadow[..., None])
        picture = blend(picture, surface, mask)
    return picture


def person(rng: Generator, height: int, width: int, scene: Canvas | None = None) -> Canvas:
    """One to three people, from the waist up or whole, in front of something."""
    if scene is None:
        behind = (room, room, landscape, soft, noise, clutter)[int(rng.integers(6))]
        scene = blur(behind(rng, height, width), rng.choice([0, 0, 1.5, 4]))
    for _ in range(rng.choice([1, 1, 1, 2, 3])):
        head = height * rng.choice([rng.uniform(0.04, 0.1), rng.uniform(0.1, 0.28)])
        x, y = rng.uniform(0.15, 0.85) * width, rng.uniform(0.15, 0.6) * height
        scene = _figure(rng, scene, x, y, head)
    return scene


def _figure(rng: Generator, picture: Canvas, x: float, y: float, head: float) -> Canvas:
    """Paint one person whose head is centred at (x, y) and `head` pixels in half height."""
    height, width = picture.shape[:2]
    skin = np.array([235, 190, 160], np.float32) * rng.uniform(0.3, 1.0) + rng.normal(0, 8, 3).astype(np.float32)
    cloth = np.array(natural_colour(rng, 10, 235), np.float32) + rng.uniform(0, 25) * fractal(rng, height, width, 0.8)
    broad, waist = head * rng.uniform(1.5, 2.4), head * rng.uniform(3.5, 7)
    lean = rng.normal(0, 0.15) * head
    torso = np.array([[-0.4, 0.8], [0.4, 0.8], [1, 1.7], [1.05, 3], [0.75, 9], [-0.75, 9], [-1.05, 3], [-1, 1.7]])
    torso *= (broad, head)
    torso[:, 1] = np.minimum(torso[:, 1], waist)
    picture = blend(picture, cloth, blur(filled(height, width, torso + np.array([x + lean, y])), 0.6))
    for side in (-1, 1):
        elbow = np.array([x + side * broad * rng.uniform(0.8, 1.5), y + head * rng.uniform(1.5, 4.5)])
        hand = elbow + rng.normal(0, 1.2, 2) * head
        arm = np.zeros((height, width), np.uint8)
        joints = np.array([[x + side * broad * 0.9, y + head * 1.7], elbow, hand])
        cv2.polylines(arm, [joints.astype(np.int32)], False, 255, max(int(head * 0.5), 1), cv2.LINE_AA)
        picture = blend(picture, cloth if rng.random() < 0.6 else tuple(skin), arm.astype(np.float32) / 255)
        picture = blend(picture, tuple(skin), oval(height, width, tuple(joints[2]), (head * 0.3, head * 0.35)))
    hair = natural_colour(rng, 5, 160)
    crown = oval(height, width, (x, y - head * 0.15), (head * rng.uniform(0.8, 1.1), head * rng.uniform(1, 1.4)))
    face = blur(oval(height, width, (x, y + head * 0.12), (head * 0.68, head * 0.9)), 0.5)
    picture = blend(blend(picture, hair, crown), tuple(skin), face)
    shade = np.linspace(rng.uniform(0.6, 1), rng.uniform(0.8, 1), width, dtype=np.float32)[None, :, None]
    picture = picture * (1 - face[..., None] + face[..., None] * shade)
    for dx, dy, rx, ry in ((-0.27, -0.05, 0.12, 0.06), (0.27, -0.05, 0.12, 0.06), (0, 0.55, 0.25, 0.08)):
        spot = oval(height, width, (x + dx * head, y + dy * head), (rx * head, ry * head))
        picture = blend(picture, tuple(skin * np.float32(0.35)), spot * np.float32(0.8))
    return picture


def clutter(rng: Generator, height: int, width: int) -> Canvas:
    """Many polygons, ellipses, lines and curves over each other."""
    picture = ramp(rng, height, width)
    vivid = rng.random() < 0.5
    for _ in range(rng.integers(25, 90)):
        red, green, blue_ = tuple(rng.uniform(0, 255, 3)) if vivid else natural_colour(rng)
        colour = (float(red), float(green), float(blue_))
        centre = rng.uniform(-0.1, 1.1, 2) * (width, height)
        size = rng.uniform(0.03, 0.25) * height
        points = centre + rng.normal(0, size, (int(rng.integers(3, 8)), 2))
        if rng.random() < 0.45:
            thick = int(rng.integers(1, 5))
            cv2.polylines(picture, [points.astype(np.int32)], bool(rng.random() < 0.3), colour, thick, cv2.LINE_AA)
        elif rng.random() < 0.5:
            cv2.fillPoly(picture, [points.astype(np.int32)], colour, cv2.LINE_AA)
        else:
            radii = (size * rng.uniform(0.2, 1), size * rng.uniform(0.2, 1))
            mask = oval(height, width, (float(centre[0]), float(centre[1])), radii, rng.uniform(0, 180))
            picture = blend(picture, colour, mask)
    return picture


def text(rng: Generator, height: int, width: int) -> Canvas:
    """Lines of words: titles, pages, screens."""
    backs: tuple[Painter, ...] = (plain, plain, ramp, soft, room)
    picture = backs[int(rng.integers(len(backs)))](rng, height, width)
    shade = rng.uniform(190, 255) if picture.mean() < 128 else rng.uniform(0, 70)
    shades = rng.choice([0, 128, 255], 3) if rng.random() < 0.35 else (shade,) * 3
    ink = np.zeros((height, width), np.uint8)
    scale = rng.uniform(0.25, 1.6) * height / 144
    y = rng.uniform(0.05, 0.6) * height
    while y < height:
        letters = rng.choice(list(string.ascii_letters + string.digits + "     .,:-"), int(rng.integers(2, 30)))
        face = int(rng.choice([cv2.FONT_HERSHEY_SIMPLEX, cv2.FONT_HERSHEY_DUPLEX, cv2.FONT_HERSHEY_TRIPLEX]))
        start = (int(rng.uniform(-0.1, 0.5) * width), int(y))
        cv2.putText(ink, "".join(letters), start, face, scale, 255, int(rng.integers(1, 4)), cv2.LINE_AA)
        y += 30 * scale * rng.uniform(0.9, 2.5)
        if rng.random() < 0.12:
            break
    return blend(picture, (float(shades[0]), float(shades[1]), float(shades[2])), ink.astype(np.float32) / 255)


def pattern(rng: Generator, height: int, width: int) -> Canvas:
    """Checks, plaid, grids, dots, one band, test pictures."""
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    turn = rng.choice([0, 0, rng.uniform(0, np.pi)])
    u, v = x * np.cos(turn) + y * np.sin(turn), y * np.cos(turn) - x * np.sin(turn)
    pitch, other = (rng.uniform(0.03, 0.2) * height for _ in range(2))
    dice = int(rng.integers(6))
    if dice == 0:
        mask = (u // pitch + v // pitch) % 2
    elif dice == 1:
        mask = (np.sin(2 * np.pi * u / pitch) + np.sin(2 * np.pi * v / other)) / 4 + 0.5
    elif dice == 2:
        mask = (u % pitch < pitch * rng.uniform(0.05, 0.5)) | (v % other < other * rng.uniform(0.05, 0.5))
    elif dice == 3:
        mask = np.hypot(u % pitch - pitch / 2, v % pitch - pitch / 2) < pitch * rng.uniform(0.2, 0.45)
    elif dice == 4:
        start = rng.uniform(float(u.min()), float(u.max()))
        mask = (u > start) & (u < start + rng.uniform(0.05, 0.8) * height)
    else:
        return _colour_bars(rng, height, width)
    ends = [natural_colour(rng, 0, 255) if rng.random() < 0.6 else tuple(rng.uniform(0, 255, 3)) for _ in range(2)]
    return blend(np.full((height, width, 3), ends[0], np.float32), ends[1], mask.astype(np.float32))


def _colour_bars(rng: Generator, height: int, width: int) -> Canvas:
    """A test picture: bars of pure colours, ramps and grey steps in bands."""
    picture = np.zeros((height, width, 3), np.float32)
    top = 0
    while top < height:
        bottom = min(height, top + int(rng.uniform(0.08, 0.9) * height) + 1)
        bars = int(rng.integers(2, 13))
        kind = rng.random()
        if kind < 0.6:
            colours = rng.choice([0, 0, 190, 255], (bars, 3)).astype(np.float32)
        elif kind < 0.8:
            colours = np.linspace(0, 255, bars, dtype=np.float32)[:, None].repeat(3, 1)
        else:
            colours = np.linspace(rng.uniform(0, 255, 3), rng.uniform(0, 255, 3), 64).astype(np.float32)
        picture[top:bottom] = colours[np.arange(width) * len(colours) // width]
        top = bottom
    return picture


def unknown_figure(rng: Generator, height: int, width: int) -> Canvas:
    """One large figure on a plain ground that is none of the known kinds: cross, ring, arrow, bar, crescent, letter."""
    ground = natural_colour(rng, 0, 255)
    ink = tuple(rng.uniform(0, 255, 3))
    while np.linalg.norm(np.subtract(ground, ink)) < 110:
        ink = tuple(rng.uniform(0, 255, 3))
    size = rng.uniform(0.16, 0.36) * height
    centre = (rng.uniform(0.35, 0.65) * width, rng.uniform(0.35, 0.65) * height)
    picture = np.full((height, width, 3), ground, np.float32)
    return blend(picture, (float(ink[0]), float(ink[1]), float(ink[2])), _figure_mask(rng, height, width, centre, size))


def _figure_mask(rng: Generator, height: int, width: int, centre: tuple[float, float], size: float) -> Mask:
    corners = {
        "cross": [
            (-1, -3), (1, -3), (1, -1), (3, -1), (3, 1), (1, 1), (1, 3), (-1, 3), (-1, 1), (-3, 1), (-3, -1), (-1, -1),
        ],
        "arrow": [(-3, -0.8), (0.4, -0.8), (0.4, -2.2), (3, 0), (0.4, 2.2), (0.4, 0.8), (-3, 0.8)],
        "bar": [(-3, -0.6), (3, -0.6), (3, 0.6), (-3, 0.6)],
        "corner": [(-3, -3), (-1.4, -3), (-1.4, 1.4), (3, 1.4), (3, 3), (-3, 3)],
        "bolt": [(0.4, -3), (-2, 0.5), (-0.2, 0.5), (-1, 3), (2, -0.7), (0.2, -0.7)],
        "tee": [(-3, -3), (3, -3), (3, -1.4), (0.8, -1.4), (0.8, 3), (-0.8, 3), (-0.8, -1.4), (-3, -1.4)],
    }  # fmt: skip
    name = rng.choice([*corners, "ring", "crescent", "letter"])
    if name in corners:
        turn = rng.uniform(0, 2 * np.pi)
        spin = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
        return filled(height, width, np.array(corners[name], np.float64) @ spin * (size / 3) + centre)
    disc = oval(height, width, centre, (size, size))
    if name == "ring":
        return disc - oval(height, width, centre, (size * 0.55, size * 0.55))
    if name == "crescent":
        angle = rng.uniform(0, 2 * np.pi)
        bite = (centre[0] + 0.6 * size * np.cos(angle), centre[1] + 0.6 * size * np.sin(angle))
        return disc * (1 - oval(height, width, bite, (size * 0.9, size * 0.9)))
    mask = np.zeros((height, width), np.uint8)
    start = (int(centre[0] - size * 0.6), int(centre[1] + size * 0.7))
    glyph = str(rng.choice(list("ABEFGHKMNPQRSWXZ235689&?%")))
    cv2.putText(mask, glyph, start, cv2.FONT_HERSHEY_DUPLEX, size / 14, 255, max(int(size / 5), 2), cv2.LINE_AA)
    return mask.astype(np.float32) / 255


Painter = Callable[[Generator, int, int], Canvas]
PAINTERS: dict[str, tuple[Painter, float]] = {
    "noise": (noise, 10),
    "soft": (soft, 7),
    "plain": (plain, 6),
    "landscape": (landscape, 15),
    "room": (room, 15),
    "person": (person, 24),
    "clutter": (clutter, 8),
    "text": (text, 7),
    "pattern": (pattern, 8),
    "figure": (unknown_figure, 6),
}
"""Every painter and its share, in percent or so, of the scenes that the model learns from."""
