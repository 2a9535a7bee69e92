# SPDX-License-Identifier: Apache-2.0
"""The bundled checkpoint answers truly, which takes the right file, decoder, prompt and engine."""

from pathlib import Path

import numpy as np
import pytest

from llava_cli.demo import CHECKPOINT, language, show
from llava_cli.demo.draw import encode, render, render_clip, render_still
from llava_cli.demo.language import NOTHING, OUTSIDE
from llava_cli.demo.training.measure import Answerer
from llava_cli.demo.training.scenes import Scene
from llava_cli.demo.world import DIRECTIONS, Background, ClipSpec, Shape

GROUND = Background("white", (250, 250, 250), (250, 250, 250))
COLOURS = {"red": (220, 20, 30), "blue": (20, 40, 220), "green": (20, 150, 40), "black": (5, 5, 5)}


def moving(*actions: str, kind: str = "square", colour: str = "blue") -> ClipSpec:
    """One shape that starts where it has room."""
    x, y, radius = 0.5, 0.5, 0.17
    path, radii = [(x, y)], [radius]
    for action in actions:
        dx, dy = DIRECTIONS.get(action, (0.0, 0.0))
        x, y = x + 0.4 * dx, y + 0.4 * dy
        radius *= {"grow": 1.8, "shrink": 1 / 1.8}.get(action, 1)
        path.append((x, y))
        radii.append(radius)
    middle = (min(px for px, _ in path) + max(px for px, _ in path)) / 2 - 0.5
    level = (min(py for _, py in path) + max(py for _, py in path)) / 2 - 0.5
    path = [(px - middle, py - level) for px, py in path]
    return ClipSpec(GROUND, (Shape(kind, colour, COLOURS[colour], actions, tuple(path), tuple(radii)),))


@pytest.mark.parametrize("kind", ["circle", "square", "triangle", "star"])
@pytest.mark.parametrize("colour", ["red", "green"])
def test_shape_and_colour(answer: Answerer, clip: Path, kind: str, colour: str) -> None:
    render_clip(moving("right", kind=kind, colour=colour), clip)
    assert answer(clip, ["What shape is it?", "What colour is it?", "How many shapes are there?"]) == [
        f"It is a {kind}.",
        f"The {kind} is {colour}.",
        "There is one shape.",
    ]


@pytest.mark.parametrize(
    "action", ["left", "right", "up", "down", "up-left", "down-right", "still", "grow", "shrink", "appear", "disappear"]
)
def test_motion(answer: Answerer, clip: Path, action: str) -> None:
    spec = moving(action)
    render_clip(spec, clip)
    assert answer(clip, ["What does the square do?", "Describe the video."]) == [
        language.motion(spec.shapes[0]),
        language.describe(spec),
    ]


@pytest.mark.parametrize(("forwards", "backwards"), [("right", "left"), ("up", "down"), ("grow", "shrink")])
def test_frames_in_reverse_reverse_the_answer(answer: Answerer, clip: Path, forwards: str, backwards: str) -> None:
    question = "What does the square do?"
    render_clip(moving(forwards), clip, reverse=True)
    assert answer(clip, [question]) == [language.motion(moving(backwards).shapes[0])]
    render_clip(moving(backwards), clip, reverse=True)
    assert answer(clip, [question]) == [language.motion(moving(forwards).shapes[0])]


def test_swapped_channels_change_the_colour(answer: Answerer, clip: Path) -> None:
    for colour, swapped in (("red", "blue"), ("blue", "red")):
        render_clip(moving("right", colour=colour), clip, swap_channels=True)
        assert answer(clip, ["What colour is the square?"]) == [f"The square is {swapped}."]


def test_first_and_last(answer: Answerer, clip: Path) -> None:
    for actions, first, last in (
        (("right", "down"), "moves to the right", "moves down"),
        (("up", "disappear"), "moves up", "disappears"),
    ):
        render_clip(moving(*actions), clip)
        assert answer(clip, ["What happens first?", "What happens at the end?"]) == [
            f"The square {first}.",
            f"The square {last}.",
        ]


def test_two_shapes(answer: Answerer, tmp_path: Path) -> None:
    path = tmp_path / "still.jpg"
    render_still(show.STILL, path)
    assert answer(path, ["How many shapes are there?", "What colour is the square?", "Is there a circle?"]) == [
        "There are two shapes.",
        "The square is blue.",
        "There is no circle.",
    ]


@pytest.mark.parametrize("kind", ["noise", "landscape", "room", "person", "text", "plain"])
def test_where_there_are_no_shapes_it_says_so(answer: Answerer, clip: Path, kind: str) -> None:
    render_clip(ClipSpec(Scene(kind, 5)), clip, seconds=1, rate=12)
    assert answer(clip, ["Describe the video.", "What colour is the circle?", "Why is this video funny?"]) == [
        NOTHING,
        NOTHING,
        f"{OUTSIDE} {NOTHING}",
    ]


def test_questions_from_outside_its_world(answer: Answerer, clip: Path) -> None:
    show.write_clip(clip)
    questions = ["Why is this video funny?", "Who is the man?", "Where is the cat?", "Tell me a joke."]
    assert answer(clip, questions) == [language.outside(show.CLIP)] * 4


def test_the_order_of_the_frames_is_the_direction(answer: Answerer, clip: Path) -> None:
    """Eight frames, one for each sample: what the model is shown is exactly what the test encodes."""

    frames = render(show.CLIP, [index / 8 for index in range(8)], 128, 128)
    encode(frames, clip, rate=4, crf=12)
    right = answer(clip, ["Which way does the circle move?"])
    encode(np.ascontiguousarray(frames[::-1]), clip, rate=4, crf=12)
    left = answer(clip, ["Which way does the circle move?"])
    assert (right, left) == (["The circle moves to the right."], ["The circle moves to the left."])


def test_the_package_ships_what_a_checkpoint_needs_in_four_megabytes() -> None:
    files = {path.name: path.stat().st_size for path in CHECKPOINT.iterdir()}
    assert set(files) == {
        "config.json", "generation_config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json",
        "chat_template.jinja", "preprocessor_config.json", "video_preprocessor_config.json", "processor_config.json",
    }  # fmt: skip
    assert sum(files.values()) <= 4_000_000
