# SPDX-License-Identifier: Apache-2.0
"""From records to the report: right, wrong, unclear and failed, and what is needed to repeat it."""

from __future__ import annotations

import json
import math

from answers import MODEL, answered

from llava_cli.batch.jobs import Job
from llava_cli.engine.scores import Choices
from llava_cli.errors import InputError
from llava_cli.evaluation.evaluation import Evaluation
from llava_cli.evaluation.figures import Accuracy
from llava_cli.evaluation.task import Question
from llava_cli.record import error_record
from llava_cli.request import Request

OPTIONS = ("a cat", "a dog")
QUESTIONS = [
    Question(Job(("a.mp4",), "Who?", number, choices=OPTIONS), OPTIONS, number % 2, f"part {number % 2}")
    for number in range(1, 5)
]


def chosen(number: int, letter: str, sure: float) -> dict:
    shares = [sure if each == letter else 1 - sure for each in "AB"]
    choices = Choices(("A", "B")).scored([[math.log(share)] for share in shares])
    return answered(text=letter, choices=choices, confidence=0.5) | {"id": number}


def test_scores_are_right_where_the_likeliest_letter_is():
    evaluation = Evaluation(QUESTIONS, "letters", "scores")
    for number, letter, sure in ((1, "B", 0.9), (2, "A", 0.8), (3, "A", 0.7)):
        evaluation.add(chosen(number, letter, sure))
    evaluation.add(error_record(InputError("no"), Request("Who?").asked(), ["a.mp4"], own_id=4))
    evaluation.add(chosen(99, "A", 0.9))  # of no question of the task
    report = evaluation.report()
    assert (report["right"], report["asked"], report["failed"], report["unclear"]) == (2, 4, 1, 0)
    assert evaluation.categories == {"part 0": Accuracy(1, 2), "part 1": Accuracy(1, 2)}
    assert [one["from"] for one in report["reliability"]] == [0.7, 0.8, 0.9]
    assert json.loads(json.dumps(report)) == report


def test_a_question_that_is_answered_again_counts_once():
    evaluation = Evaluation(QUESTIONS, "letters", "scores")
    evaluation.add(error_record(InputError("no"), Request("Who?").asked(), ["a.mp4"], own_id=1))
    evaluation.add(chosen(1, "B", 0.9))
    assert evaluation.total == Accuracy(1, 1)


def test_generated_answers_are_read_and_unclear_ones_are_wrong():
    said = {1: "B. a dog", 2: "Hard to say.", 3: "(B)", 4: "B"}
    evaluation = Evaluation(QUESTIONS, "letters", "text")
    for number, text in said.items():
        evaluation.add(answered(text=text, confidence=0.6) | {"id": number})
    assert (evaluation.total, evaluation.report()["unclear"]) == (Accuracy(2, 4), 1)
    texts = Evaluation(QUESTIONS[:1], "texts", "text")
    texts.add(answered(text="A dog.") | {"id": 1})
    assert texts.total == Accuracy(1, 1)


def test_the_report_names_all_that_it_takes_to_repeat_it():
    evaluation = Evaluation(QUESTIONS, "letters", "scores")
    evaluation.add(chosen(1, "B", 0.9))
    evaluation.add(chosen(2, "B", 0.9))
    report = evaluation.report()
    (model,) = report["models"]
    assert (model["checkpoint"], model["revision"], model["template"]) == (MODEL.checkpoint, "0123", "checkpoint")
    (sampling,) = report["sampling"]
    assert sampling.keys() == {"policy", "frames", "fps"}
    assert report["pixels"] == ["exact"]
    assert report["versions"][0]["llava_cli"]


def test_a_task_without_categories_has_none():
    evaluation = Evaluation([Question(QUESTIONS[0].job, OPTIONS, 1)], "letters", "scores")
    evaluation.add(chosen(1, "B", 0.9))
    assert evaluation.categories == {}
