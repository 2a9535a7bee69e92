# SPDX-License-Identifier: Apache-2.0
"""A multiple-choice task about clips of the demo model's world, for `llava eval`: clips that it never saw, drawn anew.

`python -m llava_cli.demo.task DIR` writes DIR/task.jsonl and DIR/clips/.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random

from llava_cli.demo import language
from llava_cli.demo.draw import render_clip
from llava_cli.demo.world import ACTIONS, KINDS, SHAPE_COLOURS, ClipSpec, dice, sample_clip

SEED = 17
CLIPS = 40
_MOST_OPTIONS = 4


@dataclass(frozen=True)
class Question:
    """A question about a clip, with what could be answered."""

    category: str
    text: str
    options: tuple[str, ...]
    answer: str


def questions(spec: ClipSpec, rng: Random) -> Iterator[Question]:
    """Draw a question of each category about a clip; the right option is among the others in no order."""
    shape = rng.choice(spec.shapes)
    text = "What shape is it?" if len(spec.shapes) == 1 else f"What shape is {shape.colour}?"
    kinds = [language.kind(replace(shape, kind=kind)) for kind in KINDS]
    yield _mixed("shape", text, language.kind(shape), kinds, rng)
    colours = [language.colour(replace(shape, colour=colour)) for colour in SHAPE_COLOURS]
    yield _mixed("colour", f"What colour is the {shape.kind}?", language.colour(shape), colours, rng)
    actions = [language.motion(replace(shape, actions=(action,))) for action in ACTIONS]
    yield _mixed("motion", f"What does the {shape.kind} do?", language.motion(shape), actions, rng)
    counts = [language.count(replace(spec, shapes=spec.shapes[:1] * number)) for number in (1, 2, 3)]
    yield _mixed("count", "How many shapes are there?", language.count(spec), counts, rng)
    kind = rng.choice((shape.kind, rng.choice([kind for kind in KINDS if kind not in kinds_of(spec)])))
    statements = [f"There is a {kind}.", f"There is no {kind}."]
    yield _mixed("existence", f"Is there a {kind}?", statements[kind not in kinds_of(spec)], statements, rng)


def kinds_of(spec: ClipSpec) -> set[str]:
    """The kinds of shapes that a clip shows."""
    return {shape.kind for shape in spec.shapes}


def _mixed(category: str, text: str, answer: str, possible: list[str], rng: Random) -> Question:
    others = [option for option in dict.fromkeys(possible) if option != answer]
    options = [answer, *rng.sample(others, min(len(others), _MOST_OPTIONS - 1))]
    rng.shuffle(options)
    return Question(category, text, tuple(options), answer)


def write_task(folder: Path, clips: int = CLIPS, seed: int = SEED, seconds: float = 2.0) -> Path:
    """Draw clips, and write the task that asks five questions about each; paths are seen from where it is run."""
    (folder / "clips").mkdir(parents=True, exist_ok=True)
    lines = []
    for number in range(clips):
        rng = dice(seed, "task", number)
        spec = sample_clip(rng, count=rng.choices((1, 2, 3), (66, 24, 10))[0])
        path = folder / "clips" / f"{number:03}-{'-'.join(sorted(kinds_of(spec)))}.mp4"
        render_clip(spec, path, seconds=seconds, rate=12)
        for asked in questions(spec, rng):
            line = {"id": f"{number:03}-{asked.category}", "media": str(path), "question": asked.text}
            lines.append(line | {"choices": asked.options, "answer": asked.answer, "category": asked.category})
    task = folder / "task.jsonl"
    task.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return task


def main() -> None:
    """Write the task into the folder that the command line names."""
    parser = argparse.ArgumentParser(
        prog="python -m llava_cli.demo.task", description="Draw a multiple-choice task about the demo model's world."
    )
    parser.add_argument("folder", metavar="DIR", type=Path, help="where it goes")
    parser.add_argument("--clips", metavar="N", type=int, default=CLIPS, help="each with five questions")
    given = parser.parse_args()
    write_task(given.folder, given.clips)


if __name__ == "__main__":
    main()
