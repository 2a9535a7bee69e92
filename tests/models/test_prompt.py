# SPDX-License-Identifier: Apache-2.0
"""Prompts: rendered as the checkpoint wants, with exactly the media given, and nothing that the user smuggled in."""

from __future__ import annotations

import pytest
from pictures import clip, still
from tiny.llava_next_video import TEMPLATE
from tiny.tokenizers import IMAGE, VIDEO, llama_tokenizer

from llava_cli.errors import ModelError
from llava_cli.models import prompt as prompts
from llava_cli.models.llava_next_video import VICUNA
from llava_cli.models.messages import Conversation, Turn, ask, modality_of

VIDEO_CLIP, STILL = clip(2, 56, 56), still(56, 56)


@pytest.fixture(scope="module")
def tokenizer():
    return llama_tokenizer()


def one_placeholder(medium) -> list[prompts.Placeholder]:
    return [prompts.Placeholder(medium, modality_of(medium), 5)]


def rendered(tokenizer, template: str, asked: Conversation) -> str:
    return prompts.readable(prompts.render(tokenizer, template, asked.turns, one_placeholder))


def encoded(tokenizer, asked: Conversation, template: str = TEMPLATE) -> list[int]:
    spans = prompts.render(tokenizer, template, asked.turns, one_placeholder)
    return prompts.encode(tokenizer, spans, {"video": VIDEO, "image": IMAGE})[0]


QWEN = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content[0].text }}<|im_end|>{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


@pytest.mark.parametrize(
    ("template", "lead"),
    [
        (VICUNA, " "),
        (QWEN, ""),
        (QWEN.replace("{{ m.content", "{{ ' ' if m.role == 'assistant' }}{{ m.content"), " "),
        (
            QWEN.replace("assistant\n{% endif", "assistant\n<think>\n{% endif"),
            "",
        ),  # answers are not begun as they stand
        ("{% if messages|length > 1 %}{{ raise_exception('no answers') }}{% endif %}USER:", ""),
    ],
)
def test_what_stands_between_a_prompt_and_its_answer_is_the_template_s(tokenizer, template, lead):
    assert prompts.answer_lead(tokenizer, template) == lead


def test_an_answer_is_tokenized_with_its_prompt_unless_that_changes_the_prompt(tokenizer):
    spans = prompts.render(tokenizer, TEMPLATE, ask("Why?", []).turns, one_placeholder)
    prompt = prompts.readable(spans)
    assert prompt == "USER: Why? ASSISTANT:"
    begun = tokenizer(prompt).input_ids
    kept = []
    for lead in (" ", ""):
        whole = tokenizer(f"{prompt}{lead}no, a baby").input_ids
        found = prompts.answer_ids(tokenizer, spans, lead, "no, a baby")
        assert tokenizer.decode([*begun, *found], skip_special_tokens=True) == f"{prompt}{lead}no, a baby"
        kept.append(whole[: len(begun)] == begun)
        assert (found == whole[len(begun) :]) == kept[-1]
    assert kept == [False, True]  # a colon and a space are one token here


def test_control_tokens_in_an_answer_are_plain_characters(tokenizer):
    spans = prompts.render(tokenizer, TEMPLATE, ask("Why?", []).turns, one_placeholder)
    found = prompts.answer_ids(tokenizer, spans, " ", "</s> <video>")
    assert not {VIDEO, tokenizer.eos_token_id} & set(found)
    assert tokenizer.decode(found) == "</s> <video>"


def test_a_prompt_is_tokenized_as_one_string(tokenizer):
    """As the published recipes do: pieces apart would get other spaces and other merges."""
    whole = tokenizer("USER: <video><video><video><video><video>\nWhy is this? ASSISTANT:").input_ids
    assert encoded(tokenizer, ask("Why is this?", [VIDEO_CLIP])) == whole


@pytest.mark.parametrize("template", [TEMPLATE, VICUNA])
def test_a_turn_may_be_of_media_alone(tokenizer, template):
    """Its text is empty, as an answer's is that was stopped before the first word."""
    asked = Conversation((Turn("user", (VIDEO_CLIP, "")), Turn("assistant", ("",)), Turn("user", ("Why?",))))
    text = rendered(tokenizer, template, asked)
    assert text.startswith("USER: <video>\n")
    assert text.endswith("USER: Why? ASSISTANT:")


def test_a_template_moves_media_as_it_likes(tokenizer):
    """The hub's templates put images before videos, and both before the text."""
    asked = Conversation((Turn("user", ("Compare.", VIDEO_CLIP, "Be brief.", STILL)),))
    spans = prompts.render(tokenizer, TEMPLATE, asked.turns, one_placeholder)
    assert prompts.readable(spans) == "USER: <image>\n<video>\nCompare. Be brief. ASSISTANT:"
    assert prompts.media_of(spans, one_placeholder) == (STILL, VIDEO_CLIP)


def test_media_that_the_user_placed_stay_there_beside_others_that_move(tokenizer):
    other = clip(3, 56, 56)
    placed = ask("Is <video> long?", [VIDEO_CLIP]).turns
    asked = Conversation((*placed, Turn("assistant", ("No.",)), Turn("user", ("And this?", other))))
    spans = prompts.render(tokenizer, TEMPLATE, asked.turns, one_placeholder)
    assert prompts.readable(spans) == "USER: Is <video> long? ASSISTANT: No. USER: <video>\nAnd this? ASSISTANT:"
    assert prompts.media_of(spans, one_placeholder) == (VIDEO_CLIP, other)


def test_marks_in_the_question_place_the_media(tokenizer):
    asked = ask("Is <image> in <video> or in <video>?", [VIDEO_CLIP, STILL, VIDEO_CLIP])
    text = rendered(tokenizer, TEMPLATE, asked)
    assert text == "USER: Is <image> in <video> or in <video>? ASSISTANT:"


@pytest.mark.parametrize("question", ["Is <video> a <video>?", "Where is the <image> tag?", "<video> <image>"])
def test_marks_that_do_not_fit_the_media_are_plain_text(tokenizer, question):
    ids = encoded(tokenizer, ask(question, [VIDEO_CLIP]))
    assert ids.count(VIDEO) == 5
    assert ids.count(IMAGE) == 0
    assert tokenizer.decode(ids, skip_special_tokens=True).endswith(f"{question} ASSISTANT:")


@pytest.mark.parametrize("token", ["</s>", "<s>", "<|im_start|>", "<|im_end|>", "<pad>", "<image>", "<unk>"])
def test_control_tokens_that_the_user_types_are_plain_characters(tokenizer, token):
    asked = ask(f"{token}{token} before {token} after {token}", [VIDEO_CLIP], system=f"You{token}are")
    ids = encoded(tokenizer, asked)
    number = tokenizer.convert_tokens_to_ids(token)
    # The template's own are the first token and the placeholders.
    assert ids.count(number) == (1 if token == "<s>" else 0)
    assert f"{token}{token} before {token} after {token}" in tokenizer.decode(ids, skip_special_tokens=True)


def test_a_control_token_in_the_question_leaves_the_rest_as_it_was(tokenizer):
    plain = encoded(tokenizer, ask("Why so?", [VIDEO_CLIP]))
    with_token = encoded(tokenizer, ask("Why so?</s>", [VIDEO_CLIP]))
    start = plain.index(VIDEO) + 5 + 3
    assert with_token[:start] == plain[:start]


def test_private_marks_in_the_question_are_only_characters(tokenizer):
    asked = ask("\ue0000\ue001 and \ue0020\ue003", [VIDEO_CLIP])
    assert "\ue0000\ue001 and \ue0020\ue003" in rendered(tokenizer, VICUNA, asked)


@pytest.mark.parametrize(
    "template",
    [
        "{% for m in messages %}USER: {% for p in m.content %}{{ p.text }}{% endfor %}{% endfor %}",
        "{{ raise_exception('roles must alternate') }}",
        "{% for m in messages %}{{ m.content.strip() }}{% endfor %}",
        "{% if %}",
        "<video>\n<video>\n{% for m in messages %}{% for p in m.content %}{{ p.text }}{% endfor %}{% endfor %}",
    ],
)
def test_a_template_that_does_not_show_the_media_is_told(tokenizer, template):
    asked = ask("Why?", [VIDEO_CLIP])
    with pytest.raises(prompts.TemplateMismatch):
        prompts.render(tokenizer, template, asked.turns, one_placeholder)


EACH = "{% for p in m.content %}{{ p.text if p.type == 'text' else '<' + p.type + '>' }} {% endfor %}"


@pytest.mark.parametrize(
    ("template", "told"),
    [
        ("{% for m in messages|reverse %}" + EACH + "{% endfor %}", "does not show every text once, in order"),
        ("{% for m in messages + messages %}" + EACH + "{% endfor %}", "shows one video too many"),
        ("{% for m in messages[1:] %}" + EACH + "{% endfor %}", "does not show every text once, in order"),
        ("{% for m in messages %}" + EACH + "{% endfor %}<image>", "shows one image too many"),
        ("{{ raise_exception('no systems here') }}", "fails in line 1: no systems here"),
    ],
)
def test_what_a_template_does_to_texts_and_media_is_told(tokenizer, template, told):
    asked = Conversation((Turn("user", ("Who?", VIDEO_CLIP)), Turn("assistant", ("I.",)), Turn("user", ("Why?",))))
    with pytest.raises(prompts.TemplateMismatch, match=told):
        prompts.render(tokenizer, template, asked.turns, one_placeholder)


def test_a_template_that_moves_a_video_over_one_that_the_user_placed_is_told(tokenizer):
    """Those of a kind stay in their order."""
    asked = Conversation((*ask("Is <video> long?", [VIDEO_CLIP]).turns, Turn("user", (VIDEO_CLIP, "And this?"))))
    template = (
        "{% for m in messages %}{% for p in m.content %}{{ '<video>' if p.type == 'video' }}{% endfor %}{% endfor %}"
        "{% for m in messages %}{% for p in m.content %}{{ p.text }}{% endfor %}{% endfor %}"
    )
    with pytest.raises(prompts.TemplateMismatch, match="does not show every video once, in order"):
        prompts.render(tokenizer, template, asked.turns, one_placeholder)


def test_a_template_that_writes_the_first_token_itself_gets_no_second(tokenizer):
    ids = encoded(tokenizer, ask("Why?", [VIDEO_CLIP]), "{{ bos_token }}" + VICUNA)
    assert ids.count(tokenizer.bos_token_id) == 1


def test_a_tokenizer_that_loses_placeholders_is_told(tokenizer):
    spans = [prompts.Text("USER: ", by_user=False), *one_placeholder(VIDEO_CLIP)]
    blind = llama_tokenizer()
    convert = blind.convert_tokens_to_ids
    blind.convert_tokens_to_ids = lambda token: 999 if token == "<video>" else convert(token)
    with pytest.raises(ModelError, match="0 placeholders where 1 belong"):
        prompts.encode(blind, spans, {"video": VIDEO, "image": IMAGE})


def test_a_medium_may_have_several_placeholders(tokenizer):
    """As families do that see a video as a row of images."""

    def frame_by_frame(medium) -> list[prompts.Placeholder]:
        return [prompts.Placeholder(medium, "image", 5)] * len(medium.frames)

    asked = ask("Compare.", [VIDEO_CLIP, clip(3, 56, 56)])
    spans = prompts.render(tokenizer, TEMPLATE, asked.turns, frame_by_frame)
    assert prompts.readable(spans) == "USER: " + "<image>\n" * 5 + "Compare. ASSISTANT:"
    ids, places = prompts.encode(tokenizer, spans, {"video": VIDEO, "image": IMAGE})
    assert ids.count(IMAGE) == 25
    assert [ids[place.start : place.stop] for place in places] == [[IMAGE] * 5] * 5


def test_the_same_medium_may_be_shown_twice(tokenizer):
    assert encoded(tokenizer, ask("Compare.", [VIDEO_CLIP, VIDEO_CLIP])).count(VIDEO) == 10
