# SPDX-License-Identifier: Apache-2.0
"""The task about the demo model's world: drawn and asked the same again, with the truth among the options."""

from __future__ import annotations

from llava_cli.demo import task
from llava_cli.demo.world import dice, sample_clip
from llava_cli.evaluation.task import read_task


def test_each_question_has_its_true_answer_among_different_options():
    places = set()
    for number in range(200):
        rng = dice("options", number)
        spec = sample_clip(rng, count=1 + number % 3)
        asked = list(task.questions(spec, rng))
        assert [question.category for question in asked] == ["shape", "colour", "motion", "count", "existence"]
        for question in asked:
            assert question.options.count(question.answer) == 1
            assert len(set(question.options)) == len(question.options) in (2, 3, 4)
            places.add(question.options.index(question.answer))
    assert places == {0, 1, 2, 3}


def test_what_is_asked_is_true_of_the_clip():
    for number in range(50):
        rng = dice("truth", number)
        spec = sample_clip(rng, count=1 + number % 3)
        _, _, _, count, existence = task.questions(spec, rng)
        assert count.answer.startswith({1: "There is one", 2: "There are two", 3: "There are three"}[len(spec.shapes)])
        kind = existence.text.removeprefix("Is there a ").rstrip("?")
        assert (existence.answer == f"There is a {kind}.") == (kind in task.kinds_of(spec))


def test_it_is_written_the_same_again_and_can_be_read(tmp_path):
    first = task.write_task(tmp_path / "a", clips=2, seconds=0.5)
    again = task.write_task(tmp_path / "b", clips=2, seconds=0.5)
    assert first.read_text().replace("/a/", "/b/") == again.read_text()
    with first.open("rb") as stream:
        questions = list(read_task(stream, "task"))
    assert len(questions) == 10
    clips = sorted((tmp_path / "a" / "clips").iterdir())
    assert [clip.read_bytes() for clip in clips] == [
        clip.read_bytes() for clip in sorted((tmp_path / "b/clips").iterdir())
    ]
    assert {question.job.names[0] for question in questions} == set(map(str, clips))
