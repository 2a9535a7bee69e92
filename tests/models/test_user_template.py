# SPDX-License-Identifier: Apache-2.0
"""Templates of the user's own: from a file or as text, and broken ones told with the line, before anything is done."""

from __future__ import annotations

import json

import pytest
from tiny.llava_next_video import TEMPLATE

from llava_cli.errors import UsageError
from llava_cli.models.user_template import read_template


def test_a_text_a_file_and_a_chat_template_json_say_the_same(tmp_path):
    (tmp_path / "mine.jinja").write_text(TEMPLATE)
    (tmp_path / "chat_template.json").write_text(json.dumps({"chat_template": TEMPLATE}))
    assert read_template(TEMPLATE) == TEMPLATE
    assert read_template(tmp_path / "mine.jinja") == TEMPLATE
    assert read_template(str(tmp_path / "chat_template.json")) == TEMPLATE


def test_a_name_that_exists_is_a_file_even_if_it_looks_like_a_template(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "{{ a }}").write_text("{{ b }}")
    assert read_template("{{ a }}") == "{{ b }}"


def test_the_tags_of_chat_templates_are_known():
    text = "{% for m in messages %}{% generation %}{{ m.content | tojson }}{% endgeneration %}{% break %}{% endfor %}"
    assert read_template(text) == text


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("{% for m in messages %}\n\n{% if %}", "^the template: line 3: Expected an expression"),
        ("{{ messages | nofilter }}", "^the template: line 1: No filter named 'nofilter'"),
        ("\n{% for m in messages %}", "^the template: line 2: Unexpected end of template"),
        ("{% generation %}", "^the template: line 1: "),
        ("{{ x }}{% break %}", "^the template: cannot be compiled: 'break' outside loop"),
        ("nowhere.jinja", "^nowhere.jinja: no such file; and no template"),
        ("x" * 5000, "^x{80}…: no such file"),
        ("", "no such file"),
    ],
)
def test_a_broken_text_is_told(text, told):
    with pytest.raises(UsageError, match=told):
        read_template(text)


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("bad.jinja", b"{{ a }}\n{% if %}", "bad.jinja: line 2: "),
        ("bytes.jinja", b"\xff{{ a }}", "bytes.jinja: cannot be read as a chat template: "),
        ("bad.json", b"{", "bad.json: cannot be read as a chat template: "),
        ("deep.json", b"[" * 100_000, "deep.json: cannot be read as a chat template: "),
        ("other.json", b'{"a": 1}', "other.json: has no chat_template in it"),
        ("list.json", b"[1]", "list.json: has no chat_template in it"),
        ("number.json", b'{"chat_template": 1}', "number.json: its chat_template is not a text"),
    ],
)
def test_a_broken_file_is_named(tmp_path, name, content, told):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UsageError, match=told):
        read_template(tmp_path / name)


def test_a_folder_is_no_template(tmp_path):
    with pytest.raises(UsageError, match="cannot be read: Is a directory"):
        read_template(tmp_path)
