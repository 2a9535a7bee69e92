# SPDX-License-Identifier: Apache-2.0
"""Questions about a clip: what is asked can be answered, and the answers are true."""

import re

import pytest

from llava_cli.demo import language, show
from llava_cli.demo.language import NOTHING, OUTSIDE
from llava_cli.demo.training.questions import ask
from llava_cli.demo.training.scenes import sample_scene
from llava_cli.demo.world import Background, ClipSpec, dice, sample_clip

GROUND = Background("grey", (150, 150, 150), (150, 150, 150))


@pytest.mark.parametrize("spec", [ClipSpec(GROUND), sample_scene(dice("nothing"))])
def test_where_there_is_nothing_every_answer_says_so(spec: ClipSpec) -> None:
    for number in range(20):
        for topic, _, answer in ask(spec, dice(number), still=bool(number % 2)):
            assert answer == (f"{OUTSIDE} {NOTHING}" if topic == "outside" else NOTHING)


def test_answers_name_only_what_the_clip_holds() -> None:
    for number in range(200):
        rng = dice("answers", number)
        spec = sample_clip(rng, count=rng.randint(1, 3))
        held = {shape.kind for shape in spec.shapes}
        for _, question, answer in ask(spec, rng, still=number % 4 == 0):
            named = set(re.findall("circle|square|triangle|star", answer))
            assert named <= held or answer in {f"There is no {kind}." for kind in named - held}
            assert "{" not in question
            assert answer[0].isupper()
            assert answer.endswith(".")
            assert not re.search(r"\b(yes|no)\b", answer.removeprefix("There is no"), re.IGNORECASE)


def test_the_same_numbers_ask_the_same_questions() -> None:
    assert ask(show.CLIP, dice(1)) == ask(show.CLIP, dice(1))
    assert ask(show.CLIP, dice(1)) != ask(show.CLIP, dice(2))


def test_a_still_does_not_move() -> None:
    questions = [question for number in range(100) for question in ask(show.STILL, dice(number), still=True)]
    assert not {"end", "first"} & {topic for topic, *_ in questions}
    assert {answer for topic, _, answer in questions if topic == "motion"} == {language.UNMOVING}
