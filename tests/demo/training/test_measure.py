# SPDX-License-Identifier: Apache-2.0
"""Measuring: right means the same words, and each topic is counted by itself."""

from collections import Counter
from pathlib import Path

from llava_cli.demo.language import NOTHING, OUTSIDE
from llava_cli.demo.training.measure import Figures, measure


def test_figures_count_by_topic() -> None:
    figures = Figures()
    for said in ("It is a star.", "It is a star.", "It is a circle.", "it is a star."):
        figures.add("clip shape", "What is it?", "It is a star.", said)
    figures.add("clip count", "How many?", "There is one shape.", "There is one shape.")
    assert (figures.share("clip shape"), figures.share("clip count"), figures.share("never asked")) == (0.5, 1, 0)
    assert [said for *_, said in figures.misses] == ["It is a circle.", "it is a star."]
    assert [line.split() for line in figures.table().splitlines()] == [
        ["clip", "count", "100.0%", "1", "of", "1"],
        ["clip", "shape", "50.0%", "2", "of", "4"],
    ]


def test_who_sees_nothing_is_right_about_scenes_alone(tmp_path: Path) -> None:
    """Every file is there when it is asked about."""
    asked: Counter[str] = Counter()

    def blind(path: Path, questions: list[str]) -> list[str]:
        assert path.stat().st_size > 100
        asked[path.suffix] += len(questions)
        return [NOTHING] * len(questions)

    figures = measure(blind, tmp_path, clips=3, stills=2, scenes=1)
    assert set(asked) == {".mp4", ".png", ".jpg"}
    answered = sum(count for topic, count in figures.asked.items() if not topic.endswith("(all)"))
    assert answered == asked.total()
    assert figures.share("scene nothing") == figures.share("scene describe") == 1
    assert figures.share("clip (all)") == figures.share("still (all)") == figures.share("fallback") == 0
    assert figures.share("scene outside") == 0


def test_who_says_that_he_knows_only_shapes_has_the_fallback_right(tmp_path: Path) -> None:
    figures = measure(lambda _, questions: [f"{OUTSIDE} What?"] * len(questions), tmp_path, clips=2, stills=0, scenes=0)
    assert figures.asked["fallback"] == figures.right["fallback"] == 2


def test_a_seed_asks_the_same_again(tmp_path: Path) -> None:
    def asked(seed: int) -> list[str]:
        questions: list[str] = []
        measure(lambda _, more: (questions.extend(more), more)[1], tmp_path, seed=seed, clips=0, stills=2, scenes=0)
        return questions

    assert asked(1) == asked(1) != asked(2)
