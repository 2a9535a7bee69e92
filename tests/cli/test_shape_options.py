# SPDX-License-Identifier: Apache-2.0
"""`--schema`, `--regex`, `--grammar`: one line of JSON that scripts can rely on, or an error; found before any work."""

from __future__ import annotations

import io
import json
import sys

import pytest
from cli.lists import records

SEEN = {
    "type": "object",
    "properties": {
        "people": {"type": "integer", "minimum": 0, "maximum": 99},
        "colours": {"type": "array", "items": {"type": "string", "maxLength": 6}, "maxItems": 2},
    },
    "required": ["people", "colours"],
    "additionalProperties": False,
}
OPTIONS = ("-n", "4", "--max-new-tokens", "70")


def test_the_answer_is_one_line_of_json_and_the_record_has_it_read(llava, rendered, tiny, tmp_path):
    (tmp_path / "seen.json").write_text(json.dumps(SEEN, indent=2))
    asked = ("ask", rendered("h264"), "Who?", "-m", tiny, *OPTIONS)
    text = llava(*asked, "--schema", tmp_path / "seen.json")
    assert (text.code, text.out.count("\n")) == (0, 1)
    said = json.loads(text.out)
    assert list(said) == ["people", "colours"]
    record = json.loads(llava(*asked, "--schema", json.dumps(SEEN), "--json").out)
    assert (record["answer"], record["parsed"], json.loads(record["schema"])) == (text.out[:-1], said, SEEN)
    assert record["finish_reason"] == "stop"
    planned = json.loads(llava(*asked, "--schema", json.dumps(SEEN), "--json", "--dry-run").out)
    assert planned["schema"] == record["schema"]


def test_expressions_and_grammars(llava, rendered, tiny, tmp_path):
    (tmp_path / "answer.lark").write_text('start: ("Yes" | "No") "."')
    for option, shape in (("--regex", r"(Yes|No)\."), ("--grammar", tmp_path / "answer.lark")):
        result = llava("ask", rendered("h264"), "Who?", "-m", tiny, *OPTIONS, option, shape)
        assert result.out in ("Yes.\n", "No.\n")


def test_an_answer_that_is_cut_off_is_no_answer(llava, rendered, tiny, tmp_path):
    asked = (
        "ask",
        rendered("h264"),
        "Who?",
        "-m",
        tiny,
        "-n",
        "4",
        "--max-new-tokens",
        "3",
        "--schema",
        json.dumps(SEEN),
    )
    result = llava(*asked)
    assert (result.code, result.out) == (1, "")
    assert "cut off after 3 tokens, before it was whole: " in result.err
    record = json.loads(llava(*asked, "--json").out)
    assert (record["status"], record["error"]["code"], record["finish_reason"]) == ("error", "cut", "length")
    assert (record["question"], json.loads(record["schema"])) == ("Who?", SEEN)
    assert len(record["media"][0]["frames"]) == 4
    assert not {"answer", "parsed"} & record.keys()
    kept = tmp_path / "record.json"
    assert llava(*asked, "-o", kept).code == 1
    assert json.loads(kept.read_text())["finish_reason"] == "length"


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--schema", "people int, dog bol"], "--schema: the schema: key 2: dog: no such type: bol"),
        (["--schema", '{"items": {"type": "x"}}'], "--schema: the schema: at /items: Invalid type: x"),
        (["--schema", "nowhere.json"], "--schema: nowhere.json: no such file"),
        (["--regex", "a("], "--regex: the regular expression: character 2: unclosed group"),
        (["--grammar", "start: foo"], '--grammar: the grammar: line 1, column 8: unknown name: "foo"'),
        (
            ["--regex", "a", "--schema", "a int"],
            "--schema and --regex cannot be used together: an answer has one shape",
        ),
    ],
)
def test_a_bad_shape_is_found_before_anything_is_looked_at(llava, options, told, tmp_path):
    (tmp_path / "jobs.jsonl").touch()
    jobs = str(tmp_path / "jobs.jsonl")
    for command in (["ask", "none.mp4", "Why?"], ["caption", "none.mp4"], ["batch", jobs], ["chat", "none.mp4"]):
        result = llava(*command, "-m", "no/such-checkpoint", *options)
        assert (result.code, result.out) == (2, "")
        assert told in result.err


def test_without_the_extra_it_is_told_how_to_install_it(llava, monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "llguidance", None)
    result = llava("ask", "none.mp4", "Why?", "--schema", "a int")
    assert result.code == 2
    assert result.err.endswith("pip install 'llava-cli[schema]'\n")
    (tmp_path / "jobs.jsonl").write_text('{"media": "none.mp4", "question": "Why?", "regex": "a"}\n')
    result = llava("batch", tmp_path / "jobs.jsonl", "-m", "demo", "-o", tmp_path / "out.jsonl")
    assert result.code == 2
    assert result.err.endswith("pip install 'llava-cli[schema]'\n")
    assert (tmp_path / "out.jsonl").read_text() == ""


def test_jobs_have_shapes_of_their_own_beside_those_of_the_command_line(llava, files, tiny, tmp_path):
    jobs = [
        {"id": "seen", "schema": SEEN},
        {"id": "yes", "regex": "yes|no"},
        {"id": "rules", "grammar": 'start: "a" | "the"'},
        {"id": "default"},
        {"id": "cut", "regex": "[a-z]{200}"},
        {"id": "bad", "regex": "("},
    ]
    path = tmp_path / "jobs.jsonl"
    path.write_text(
        "".join(json.dumps({"media": str(files / "vp9.webm"), "question": "Why?", **job}) + "\n" for job in jobs)
    )
    options = ("-m", tiny, "--dtype", "float32", *OPTIONS, "--schema", "dog bool")
    result = llava("batch", path, *options)
    assert result.code == 1
    found = {record["id"]: record for record in records(result.out)}
    assert found["seen"]["parsed"] == json.loads(found["seen"]["answer"])
    assert found["yes"]["answer"] in ("yes", "no")
    assert found["rules"]["answer"] in ("a", "the")
    assert found["default"]["parsed"] in ({"dog": True}, {"dog": False})
    assert (found["cut"]["error"]["code"], found["cut"]["finish_reason"]) == ("cut", "length")
    assert "character 1: unclosed group" in found["bad"]["error"]["message"]
    assert found["seen"]["batch_size"] > 1
    for job in jobs[:3]:
        (kind,) = job.keys() - {"id"}
        shape = json.dumps(SEEN) if kind == "schema" else job[kind]
        alone = llava("ask", files / "vp9.webm", "Why?", *options[:-2], f"--{kind}", shape)
        assert alone.out[:-1] == found[job["id"]]["answer"]
    captioned = llava("caption", files / "vp9.webm", *options[:-2], "--regex", "yes|no", "-p", "Why?")
    assert records(captioned.out)[0]["answer"] == found["yes"]["answer"]


def test_every_answer_of_a_conversation_has_the_shape(llava, rendered, tiny, monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.StringIO("Who?\nWhy?\n"))
    result = llava("chat", rendered("h264"), "-m", tiny, *OPTIONS, "--schema", "dog bool")
    assert result.code == 0
    assert [json.loads(line).keys() for line in result.out.splitlines()] == [{"dog"}] * 2


def test_a_worker_gives_answers_the_same_shape(llava, rendered):
    asked = ("ask", rendered("h264"), "Who?", "-m", "demo", *OPTIONS, "--schema", json.dumps(SEEN))
    kept = llava(*asked, "--keep", "20s", "--json")
    record = json.loads(kept.out)
    assert record["model"]["worker"] is True
    assert llava(*asked).out == f"{record['answer']}\n"
