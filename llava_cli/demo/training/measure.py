# SPDX-License-Identifier: Apache-2.0
"""Measure the demo checkpoint on clips and stills that it never saw, written to files and read back by the tool.

`python -m llava_cli.demo.training.measure [CHECKPOINT]` prints the table.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from itertools import cycle
from pathlib import Path
from random import Random

from llava_cli.demo import CHECKPOINT, language
from llava_cli.demo.draw import render_clip, render_still
from llava_cli.demo.training import questions
from llava_cli.demo.training.scenes import sample_scene
from llava_cli.demo.world import ClipSpec, dice, name_rgb, sample_clip
from llava_cli.engine.types import Generation, LoadOptions
from llava_cli.errors import LlavaError
from llava_cli.media.clip import Policy
from llava_cli.request import FrameChoice, Request
from llava_cli.session import Session

Answerer = Callable[[Path, list[str]], list[str]]
"""Answers several questions about one file."""

SEED = 90210
CLIPS, STILLS, SCENES = 150, 100, 60
SIZES = ((320, 240), (320, 240), (426, 240), (240, 240), (640, 480), (240, 320))
UNRELATED = (
    "Why is this video funny?", "Why is this funny?", "Who directed this film?", "Is the woman in the back smiling?",
    "What would happen next in the story?", "Which team scores?", "How many people are in the room?",
    "Recommend me a restaurant.", "What is the speaker explaining?", "Is this safe for children?",
    "What year was the car built?", "Sing a song.",
)  # fmt: skip
"""Questions from outside the model's world; most of them the grammar that it learnt cannot ask."""


@dataclass
class Figures:
    """Right answers and questions per topic, and what went wrong."""

    right: Counter[str] = field(default_factory=Counter)
    asked: Counter[str] = field(default_factory=Counter)
    misses: list[tuple[str, str, str, str]] = field(default_factory=list)
    """Topic, question, truth and what the model said."""

    def add(self, topic: str, question: str, truth: str, said: str) -> None:
        """Count one answer; right means the same words."""
        self.asked[topic] += 1
        self.right[topic] += said == truth
        if said != truth:
            self.misses.append((topic, question, truth, said))

    def share(self, topic: str) -> float:
        """Return the share of right answers."""
        return self.right[topic] / max(self.asked[topic], 1)

    def table(self) -> str:
        """Return one line per topic: share, right, asked."""
        return "\n".join(
            f"{topic:20} {self.share(topic):6.1%}  {self.right[topic]:4} of {self.asked[topic]:4}"
            for topic in sorted(self.asked)
        )


def measure(
    answer: Answerer, folder: Path, *, seed: int = SEED, clips: int = CLIPS, stills: int = STILLS, scenes: int = SCENES
) -> Figures:
    """Ask about fresh clips, stills and scenes, written into `folder`; topics start with what they are about."""
    rng = dice(seed, "measure")
    figures = Figures()
    for _ in range(clips):
        spec = sample_clip(rng, count=rng.choices((1, 2, 3), (66, 24, 10))[0])
        _measure_clip(answer, folder / "clip.mp4", spec, rng, figures)
    for index in range(stills):
        spec = sample_clip(rng, count=rng.choices((1, 2, 3), (60, 28, 12))[0], still=True)
        path = folder / f"still.{('png', 'jpg')[index % 2]}"
        width, height = rng.choice(SIZES)
        render_still(spec, path, width=width, height=height)
        _ask_all(answer, path, questions.ask(spec, rng, still=True), "still", figures)
    for _ in range(scenes):
        spec = sample_scene(rng)
        path = _encode(spec, folder / "scene.mp4", rng)
        _ask_all(answer, path, questions.ask(spec, rng), "scene", figures)
    return figures


def _measure_clip(answer: Answerer, path: Path, spec: ClipSpec, rng: Random, figures: Figures) -> None:
    """Ask everything about one clip, something unrelated, and what changes when its frames or channels are turned."""
    layout = rng.getrandbits(32)
    _encode(spec, path, dice(layout))
    _ask_all(answer, path, questions.ask(spec, rng), "clip", figures)
    question = rng.choice(UNRELATED)
    (said,) = answer(path, [question])
    figures.add("fallback", question, language.OUTSIDE, said[: len(language.OUTSIDE)])
    for change, question, truth in _changes(spec):
        # In the size, rate and quality of the clip itself.
        _encode(spec, path, dice(layout), reverse=change == "reversed", swap_channels=change == "swapped")
        (said,) = answer(path, [question])
        figures.add(change, question, truth, said)


def _ask_all(answer: Answerer, path: Path, questions: list[questions.Question], about: str, figures: Figures) -> None:
    for question, said in zip(questions, answer(path, [question.text for question in questions]), strict=True):
        figures.add(f"{about} {question.topic}", question.text, question.answer, said)
        figures.asked[f"{about} (all)"] += 1
        figures.right[f"{about} (all)"] += said == question.answer


def _encode(spec: ClipSpec, path: Path, rng: Random, *, reverse: bool = False, swap_channels: bool = False) -> Path:
    """Write the clip in some size, rate, quality and length."""
    width, height = rng.choice(SIZES)
    rate, crf, seconds = rng.choice((12, 24, 30)), rng.randint(18, 28), rng.uniform(2, 4)
    render_clip(
        spec, path, seconds=seconds, rate=rate, width=width, height=height, crf=crf,
        reverse=reverse, swap_channels=swap_channels,
    )  # fmt: skip
    return path


def _changes(spec: ClipSpec) -> Iterator[tuple[str, str, str]]:
    """Yield change, question and new truth for clips of one shape whose new truth has a name."""
    if len(spec.shapes) != 1:
        return
    (shape,) = spec.shapes
    backwards = language.doing_backwards(shape)
    if backwards not in (None, language.doing(shape)):
        yield "reversed", f"What does the {shape.kind} do?", f"The {shape.kind} {backwards}."
    red, green, blue = shape.rgb
    swapped = name_rgb((blue, green, red))
    if swapped not in (None, "grey", shape.colour):
        yield "swapped", f"What colour is the {shape.kind}?", language.colour(replace(shape, colour=str(swapped)))


@contextmanager
def through_the_tool(checkpoint: Path = CHECKPOINT) -> Iterator[Answerer]:
    """An answerer that goes the commands' own road, by either sampling of frames in turn."""
    with Session(str(checkpoint), load=LoadOptions(device="cpu")) as session:
        policies: Iterator[Policy | None] = cycle((None, "linspace"))

        def answer(path: Path, questions: list[str]) -> list[str]:
            choice = FrameChoice(sampling=next(policies))
            asked = Request(media=(str(path),), choice=choice, generation=Generation(max_new_tokens=64))
            with session.open_media() as media:
                prepared = [session.prepare(replace(asked, question=question), media) for question in questions]
            return [answer.text for answer in session.engine.answer([one.query for one in prepared])]

        yield answer


def main() -> None:
    """Print the table, and every tenth miss."""
    parser = argparse.ArgumentParser(
        prog="python -m llava_cli.demo.training.measure", description="Measure how often a demo checkpoint is right."
    )
    parser.add_argument("checkpoint", metavar="CHECKPOINT", type=Path, nargs="?", default=CHECKPOINT, help="its folder")
    checkpoint = parser.parse_args().checkpoint
    try:
        with tempfile.TemporaryDirectory() as folder, through_the_tool(checkpoint) as answer:
            figures = measure(answer, Path(folder))
    except LlavaError as error:
        sys.exit(f"llava: {error}")
    sys.stdout.write(figures.table() + "\n")
    for topic, question, truth, said in figures.misses[::10]:
        sys.stdout.write(f"{topic}: {question!r}\n    truth {truth!r}\n    said  {said!r}\n")


if __name__ == "__main__":
    main()
