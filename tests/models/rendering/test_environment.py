# SPDX-License-Identifier: Apache-2.0
"""Templates find around them what transformers gives them, and write the same."""

from __future__ import annotations

import pytest
from hub_files import ONEVISION_TEMPLATE, VICUNA_TEMPLATE
from jinja2 import TemplateError
from tiny.llava_next_video import TEMPLATE
from tiny.tokenizers import llama_tokenizer

from llava_cli.models import interleave, llava_next_video, onevision, templates
from llava_cli.models.checkpoint import open_checkpoint
from llava_cli.models.rendering.environment import compiled

PUBLISHED = [
    TEMPLATE, VICUNA_TEMPLATE, ONEVISION_TEMPLATE, templates.VICUNA, llava_next_video.MISTRAL, llava_next_video.YI,
    onevision.QWEN, interleave.QWEN,
]  # fmt: skip
ODD = [
    " {% for m in messages %}\n {%- if loop.index0 == 1 %}{% break %}{% endif %}\n  {{ m | tojson }}\n {% endfor %}\n",
    "{{ messages | tojson(indent=2) }}{{ {'b': '<é>', 'a': 1} | tojson(sort_keys=true, ensure_ascii=true) }}",
    "{{ strftime_now('%Y') }}{{ bos_token }}{{ eos_token }}{{ pad_token }}{{ nothing }}{{ tools }}{{ documents }}",
    "{% set ns = namespace(a=1, b='x') %}{% set ns.a = 2 %}{{ ns.a }}{{ ns.b }}{{ dict(a=1) }}",
    "{% generation %}{{ messages[0].role.upper() }}\n{% endgeneration %}{{ messages | length }}",
    "{% if add_generation_prompt is defined and add_generation_prompt %}go{% endif %}{{ [1, 2] | join('-') }}",
    "{{ dict.fromkeys(['a', 'b'], 1) | tojson }}{{ messages[0].get('content', '') }}",
]
FAILING = [
    "{{ raise_exception('roles must alternate') }}", "{% set ns = namespace(_a=1) %}", "{{ messages.append(1) }}",
    "{% set ns = namespace() %}{% set ns._a = 1 %}", "{{ ''.__class__.__mro__ }}", "{{ dict.__call__() }}",
    "{{ cycler.__init__.__globals__ }}",
    "{{ messages | nofilter }}", "{{ open('/etc/passwd') }}",
]  # fmt: skip


def content(text: str, *media: str) -> list[dict[str, str]]:
    return [*({"type": kind} for kind in media), {"type": "text", "text": text}]


CONVERSATIONS = [
    [{"role": "user", "content": content("Why?", "video")}],
    [
        {"role": "system", "content": content("Be brief.")},
        {"role": "user", "content": content("Compare.", "image", "video", "image")},
        {"role": "assistant", "content": content("No.")},
        {"role": "user", "content": content("\ue0000\ue001 <b> 'é' {{ x }}")},
    ],
]


@pytest.mark.parametrize("answering", [True, False])
@pytest.mark.parametrize("messages", CONVERSATIONS)
def test_templates_write_what_they_write_in_transformers(messages, answering):
    tokenizer = llama_tokenizer()
    demo = open_checkpoint("demo").chat_template
    for template in (*PUBLISHED, *ODD, demo):
        expected = tokenizer.apply_chat_template(
            messages, chat_template=template, tokenize=False, add_generation_prompt=answering
        )
        known = {"messages": messages, "tools": None, "documents": None, "add_generation_prompt": answering}
        assert compiled(template).render({**tokenizer.special_tokens_map, **known}) == expected, template


@pytest.mark.parametrize("template", FAILING)
def test_templates_fail_where_they_fail_in_transformers(template):
    tokenizer, (messages, *_) = llama_tokenizer(), CONVERSATIONS
    with pytest.raises(Exception) as expected:  # noqa: PT011 - whatever it is
        tokenizer.apply_chat_template(messages, chat_template=template, tokenize=False)
    with pytest.raises(type(expected.value)):
        compiled(template).render(messages=messages)


def test_an_exception_of_a_template_says_what_the_template_says():
    with pytest.raises(TemplateError, match=r"^roles must alternate$"):
        compiled(FAILING[0]).render()
