# SPDX-License-Identifier: Apache-2.0
"""Tasks as they are read: which choice is right, however that is said, and how it is asked."""

from __future__ import annotations

import io
import json

import pytest

from llava_cli.errors import InputError
from llava_cli.evaluation.task import Question, read_task

LINE = {"media": "a.mp4", "question": "Who?", "choices": ["a cat", "a dog", "nobody"], "answer": "B"}


def read(*lines: dict) -> list[Question]:
    return list(read_task(io.BytesIO("".join(json.dumps(line) + "\n" for line in lines).encode()), "task.jsonl"))


@pytest.mark.parametrize("answer", ["B", "a dog", " a dog ", 1])
def test_the_right_choice_is_said_by_its_text_its_letter_or_its_number(answer):
    (question,) = read(LINE | {"answer": answer})
    assert question.options[question.truth] == "a dog"


def test_a_choice_that_is_a_letter_itself_comes_before_the_letter_of_another():
    (question,) = read(LINE | {"choices": ["B", "A"], "answer": "B"})
    assert question.truth == 0


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (LINE | {"answer": "D"}, "question 1: answer must be the text, the letter or the number"),
        (LINE | {"answer": 3}, "not 3"),
        (LINE | {"answer": True}, "not True"),
        (LINE | {"answer": ""}, "not ''"),
        ({key: value for key, value in LINE.items() if key != "answer"}, "not None"),
        ({key: value for key, value in LINE.items() if key != "choices"}, "has no choices"),
        (LINE | {"choices": [str(number) for number in range(27)]}, "more than there are letters"),
        (LINE | {"category": 7}, "category must be a text"),
        (LINE | {"choices": ["one"]}, "line 1: choices: choices are at least two"),
        ({"question": "Who?"}, "line 1: has no media"),
    ],
)
def test_a_line_that_is_no_question_is_named(line, said):
    with pytest.raises(InputError, match=r"task\.jsonl") as error:
        read(line)
    assert said in str(error.value)


def test_questions_have_ids_of_their_own_or_are_numbered():
    assert [question.id for question in read(LINE, LINE | {"id": "x"}, LINE)] == [1, "x", 3]
    with pytest.raises(InputError, match="question 2: another one has the id 7 too"):
        read(LINE | {"id": 7}, LINE | {"id": 7})


def test_letters_are_asked_below_the_question_and_texts_alone():
    (question,) = read(LINE | {"category": "who"})
    letters = question.asked("letters", "scores")
    assert letters.question == (
        "Who?\nA. a cat\nB. a dog\nC. nobody\nAnswer with the option's letter from the given choices directly."
    )
    assert letters.choices == ("A", "B", "C")
    texts = question.asked("texts", "scores")
    assert (texts.question, texts.choices) == ("Who?", ("a cat", "a dog", "nobody"))
    for style in ("letters", "texts"):
        assert question.asked(style, "text").choices is None
    assert texts.extra == {"answer": "B", "category": "who"}


def test_options_are_shuffled_by_the_seed_and_the_question_alone():
    questions = read(*(LINE | {"id": number} for number in range(20)))
    orders = [[question.shuffled(seed).options for question in questions] for seed in (1, 1, 2)]
    assert orders[0] == orders[1] != orders[2]
    assert len(set(orders[0])) > 3
    assert all(one.options[one.truth] == "a dog" for one in (question.shuffled(5) for question in questions))
