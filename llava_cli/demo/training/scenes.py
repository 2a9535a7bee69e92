# SPDX-License-Identifier: Apache-2.0
"""Clips of anything but simple shapes: a painted canvas under a moving camera, with light, lens and cuts."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from llava_cli.demo.training.canvas import Canvas, Generator, Mask, blur
from llava_cli.demo.training.paint import PAINTERS, person
from llava_cli.demo.world import ClipSpec

_MARGIN = 1.3
"""Canvas size over frame size: what the camera can move in."""


@dataclass(frozen=True)
class Scene:
    """Anything that is not simple shapes; painted from its seed alone."""

    kind: str
    seed: int

    def render(self, times: list[float], width: int, height: int) -> npt.NDArray[np.uint8]:
        """Return the frames at these times (0 to 1), uint8 [frames, height, width, 3] RGB."""
        rng = np.random.default_rng(self.seed)
        canvas = _canvas(self.kind, rng, width, height)
        camera = _camera(rng)
        light = _light(rng)
        cut, second = 2.0, canvas
        if rng.random() < 0.15:
            cut, second = rng.uniform(0.2, 0.8), _canvas(self.kind, rng, width, height)
        sway = self.kind == "person" or rng.random() < 0.3
        actor = _actor(rng, canvas) if sway and rng.random() < 0.6 else None
        drift = rng.normal(0, 0.15, 2) * (width, height)
        frames = np.empty((len(times), height, width, 3), np.uint8)
        for index, time in enumerate(times):
            picture = second if time >= cut else canvas
            if actor is not None:
                picture = _paste(picture, actor, drift * time + 3 * np.sin(6 * time + drift))
            shot = cv2.warpAffine(
                picture,
                camera(time, width, height),
                (width, height),
                flags=cv2.INTER_LINEAR,
                borderMode=cv2.BORDER_REFLECT,
            )
            frames[index] = np.clip(shot * light(time), 0, 255)
        return frames


def sample_scene(rng: Random) -> ClipSpec:
    """Draw a clip without any shape that the model knows."""
    kinds = list(PAINTERS)
    kind = rng.choices(kinds, [share for _, share in PAINTERS.values()])[0]
    return ClipSpec(Scene(kind, rng.getrandbits(60)))


def _canvas(kind: str, rng: Generator, width: int, height: int) -> Canvas:
    """Paint what the camera looks at, with the lens's blur and the film's tint."""
    painter = PAINTERS[kind][0]
    picture = np.asarray(painter(rng, round(height * _MARGIN), round(width * _MARGIN)), np.float32)
    if kind in ("figure", "plain"):
        return picture
    if rng.random() < 0.35:
        picture = blur(picture, rng.uniform(0.4, 1.6))
    if rng.random() < 0.35:
        grey = picture.mean(axis=2, keepdims=True)
        picture = grey + (picture - grey) * np.float32(rng.uniform(0, 0.8))
    if rng.random() < 0.4:
        picture = picture * rng.uniform(0.75, 1.1, 3).astype(np.float32)
    if rng.random() < 0.4:
        picture = picture * np.float32(rng.uniform(0.3, 1.2)) + np.float32(rng.uniform(-30, 50))
    if rng.random() < 0.3:
        picture = picture + rng.normal(0, rng.uniform(2, 12), picture.shape).astype(np.float32)
    return np.ascontiguousarray(picture, np.float32)


def _camera(rng: Generator) -> Any:
    """Return a path of the camera: time, width, height -> 2x3 matrix from canvas to frame."""
    still = rng.random() < 0.3
    pan = np.zeros(2) if still else rng.uniform(-0.13, 0.13, 2)
    zoom = 0.0 if still else float(rng.choice([0, rng.uniform(-0.25, 0.35)]))
    shake = 0.0 if rng.random() < 0.6 else rng.uniform(0, 0.02)
    phase = rng.uniform(0, 7, 2)

    def matrix(time: float, width: int, height: int) -> npt.NDArray[Any]:
        scale = 1 + zoom * (time - 0.5)
        focus = 0.5 + pan * (2 * time - 1) + shake * np.sin(40 * time + phase)
        middle = focus * (width, height) * _MARGIN
        return np.array([[scale, 0, width / 2 - scale * middle[0]], [0, scale, height / 2 - scale * middle[1]]])

    return matrix


def _light(rng: Generator) -> Any:
    """Return the brightness over time; most often it stays, sometimes it fades."""
    if rng.random() < 0.75:
        return lambda time: np.float32(1)
    first, last = rng.uniform(0.1, 1.2, 2)
    return lambda time: np.float32(first + (last - first) * time)


def _actor(rng: Generator, canvas: Canvas) -> tuple[Canvas, Mask]:
    """Paint a person alone: the canvas with them, and the mask of what they changed."""
    painted = np.asarray(person(rng, canvas.shape[0], canvas.shape[1], canvas), np.float32)
    mask = (np.abs(painted - canvas).max(axis=2) > 4).astype(np.float32)
    return painted, blur(mask, 0.8)


def _paste(picture: Canvas, actor: tuple[Canvas, Mask], offset: npt.NDArray[Any]) -> Canvas:
    """Lay the actor over the picture, moved by `offset` pixels."""
    painted, mask = actor
    move = np.array([[1, 0, offset[0]], [0, 1, offset[1]]])
    size = (picture.shape[1], picture.shape[0])
    moved, cover = cv2.warpAffine(painted, move, size), cv2.warpAffine(mask, move, size)
    return (picture + (moved - picture) * cover[..., None]).astype(np.float32)
