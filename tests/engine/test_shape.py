# SPDX-License-Identifier: Apache-2.0
"""Shapes of answers: read from texts, files and objects; broken ones told with the place; answers without them."""

from __future__ import annotations

import json
import sys

import pytest

from llava_cli.engine.shape import misfit, read_constraint, request_fields, value_of
from llava_cli.engine.types import Constraint
from llava_cli.errors import ExitCode, UsageError
from llava_cli.extras import NotInstalled

DOG = {"type": "object", "properties": {"dog": {"type": "boolean"}}, "required": ["dog"], "additionalProperties": False}


def test_an_object_its_text_a_file_and_the_short_form_are_one_schema(tmp_path):
    (tmp_path / "dog.json").write_text(json.dumps(DOG, indent=2))
    (tmp_path / "dog.txt").write_text("dog bool\n")
    given = [DOG, json.dumps(DOG), tmp_path / "dog.json", str(tmp_path / "dog.txt"), "dog bool"]
    assert {read_constraint(one) for one in given} == {Constraint("schema", json.dumps(DOG))}


def test_regular_expressions_and_grammars(tmp_path):
    (tmp_path / "answer.lark").write_text('start: "yes" | "no"\n')
    assert read_constraint(regex="yes|no") == Constraint("regex", "yes|no")
    assert read_constraint(grammar='start: "yes"') == Constraint("grammar", 'start: "yes"')
    assert read_constraint(grammar=tmp_path / "answer.lark") == Constraint("grammar", 'start: "yes" | "no"\n')
    assert read_constraint() is None


def test_the_order_of_keys_is_kept_for_it_is_that_of_the_answer_s():
    assert read_constraint("b int, a int") != read_constraint("a int, b int")


def test_a_text_of_others_is_never_the_name_of_a_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "dog int").write_text('{"type": "null"}')
    (tmp_path / "rules").write_text('start: "a"')
    assert "integer" in read_constraint("dog int", files=False).text
    with pytest.raises(UsageError, match=r"^rules: no grammar"):
        read_constraint(grammar="rules", files=False)
    with pytest.raises(UsageError, match=r"^dog\.json: no schema"):
        read_constraint("dog.json", files=False)


def nested(levels: int) -> dict:
    return {"items": nested(levels - 1)} if levels else {}


@pytest.mark.parametrize(
    ("schema", "told"),
    [
        ("nowhere.json", "^nowhere.json: no such file; and no schema, such as"),
        ("x" * 5000, "^x{80}…: no such file"),
        ("", "^the schema: is empty"),
        ('{"type":\n "object",,}', "^the schema: line 2, column 11: "),
        ("[1]", "^the schema: must be a JSON object"),
        ("people int, dog bol", "^the schema: key 2: dog: no such type: bol"),
        ({"type": "objekt"}, "^the schema: Invalid type: objekt$"),
        ({"properties": {"a": {"items": {"type": "int"}}}}, "^the schema: at /properties/a/items: Invalid type: int$"),
        ({"anyOf": [{}, {"properties": {"a/b": {"minLength": "x"}}}]}, "^the schema: at /anyOf/1/properties/a~1b: Exp"),
        ({"properties": {"x": {"$ref": "#/$defs/a"}}, "$defs": {"a": {"type": "foo"}}}, "schema: at /\\$defs/a: Inval"),
        ({"items": {"$ref": "#/$defs/a"}}, "^the schema: at /items: Pointer '/\\$defs/a' does not exist"),
        (
            {"items": {"pattern": "a(", "type": "string"}},
            "at /items: character 2 of a regular expression: unclosed gro",
        ),
        (
            {"items": {"uniqueItems": True}, "type": "array"},
            '^the schema: at /items: nothing here can enforce "uniqueI',
        ),
        ({"type": "integer", "minimum": 3, "maximum": 1}, "^the schema: Unsatisfiable schema: minimum"),
        ({"$ref": "#"}, "^the schema: no text fits it$"),
        ({"a": float("nan")}, "^the schema: cannot be kept in a record"),
        ({"a": {1, 2}}, "^the schema: cannot be kept in a record"),
        ({"const": "\ud800"}, "^the schema is not valid Unicode text"),
        (nested(100), "^the schema: cannot be kept in a record: it is nested deeper than 64"),
        ("[" * 100_000, "^the schema: is no JSON: "),
    ],
)
def test_a_broken_schema_is_told_with_the_place(schema, told):
    with pytest.raises(UsageError, match=told):
        read_constraint(schema)


@pytest.mark.parametrize(
    ("regex", "told"),
    [
        ("ab(", "^the regular expression: character 3: unclosed group$"),
        ("(?=a)b", "^the regular expression: character 1: look-around"),
        (" ", "^the regular expression: is empty"),
        ("[^\\x00-\\x{10FFFF}]", "^the regular expression: no text fits it$"),
        ("\ud800", "^the regex is not valid Unicode text"),
    ],
)
def test_a_broken_regular_expression_is_told_with_the_place(regex, told):
    with pytest.raises(UsageError, match=told):
        read_constraint(regex=regex)


@pytest.mark.parametrize(
    ("grammar", "told"),
    [
        ("nowhere.lark", "^nowhere.lark: no such file; and no grammar"),
        ('start: "a"\nfoo', "^the grammar: line 2, column 4: Expected token ':'"),
        ("start: foo", '^the grammar: line 1, column 8: unknown name: "foo"$'),
        ("start: /a(/", "^the grammar: line 1, column 8: character 2 of a regular expression: unclosed group$"),
        ('begin: "a"', "^the grammar: no start rule found$"),
        ("start: start", "^the grammar: no text fits it$"),
        ('start: <|im_end|> "a"', '^the grammar: line 1, column 8: unknown special token: "<.im_end.>"$'),
    ],
)
def test_a_broken_grammar_is_told_with_the_place(grammar, told):
    with pytest.raises(UsageError, match=told):
        read_constraint(grammar=grammar)


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("bad.json", b'{"type":', "bad.json: line 1, column 9: "),
        ("bytes.json", b"\xff{", "bytes.json: cannot be read as a schema: "),
        ("wrong.json", b'{"items": {"type": "int"}}', "wrong.json: at /items: Invalid type: int"),
        ("empty.json", b"\n", "empty.json: is empty"),
        ("other.txt", b"a, b", "other.txt: key 1: must be a name and a type"),
    ],
)
def test_a_broken_file_is_named(tmp_path, name, content, told):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UsageError, match=told):
        read_constraint(tmp_path / name)


def test_a_folder_is_no_schema(tmp_path):
    with pytest.raises(UsageError, match="cannot be read: Is a directory"):
        read_constraint(tmp_path)


def test_an_answer_has_one_shape():
    with pytest.raises(UsageError, match=r"^schema and regex cannot be used together: an answer has one shape"):
        read_constraint("a int", "yes")


def test_without_the_extra_it_is_told_how_to_install_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "llguidance", None)
    with pytest.raises(NotInstalled, match=r"pip install 'llava-cli\[schema\]'$") as told:
        read_constraint("a int")
    assert told.value.exit_code == ExitCode.USAGE


INTEGER = read_constraint("a int")


def test_an_answer_that_was_cut_off_is_an_error_even_where_it_fits():
    for text in ('{"a":1}', '{"a":1'):
        error = misfit(INTEGER, text, "length", 4)
        assert str(error).startswith('the answer was cut off after 4 tokens, before it was whole: \'{"a":1')
        assert (error.code, error.exit_code, error.finish_reason) == ("cut", ExitCode.SOME_FAILED, "length")
    assert misfit(INTEGER, '{"a":1}', "interrupted", 4).finish_reason == "interrupted"
    assert len(str(misfit(INTEGER, "1" * 9000, "length", 4))) < 200


def test_an_answer_of_another_shape_is_an_error():
    error = misfit(INTEGER, "I see two.", "stop", 4)
    assert str(error) == "the answer does not fit the schema: 'I see two.'"
    assert (error.code, error.exit_code, error.finish_reason) == ("shape", ExitCode.SOME_FAILED, None)
    assert misfit(INTEGER, '{"a":1}', "stop", 4) is None
    assert misfit(read_constraint(regex="yes|no"), "yes", "stop", 4) is None


@pytest.mark.parametrize(("kind", "text"), [("float", "1e999"), ("int", "1" * 5000)])
def test_a_number_that_no_record_can_hold_is_an_error(kind, text):
    assert "number in it that is too large" in str(misfit(read_constraint(f"a {kind}"), f'{{"a":{text}}}', "stop", 9))


def test_what_an_answer_says():
    assert value_of(read_constraint("a [str], b float"), '{"a":["x","é"],"b":1.5}') == {"a": ["x", "é"], "b": 1.5}
    assert value_of(read_constraint(regex="7"), "7") is None


def test_what_a_server_is_told():
    assert request_fields(read_constraint(DOG)) == {
        "response_format": {"type": "json_schema", "json_schema": {"name": "answer", "schema": DOG, "strict": True}}
    }
    assert request_fields(read_constraint(regex="yes|no")) == {"structured_outputs": {"regex": "yes|no"}}
    assert request_fields(read_constraint(grammar='start: "a"')) == {"structured_outputs": {"grammar": 'start: "a"'}}
