# SPDX-License-Identifier: Apache-2.0
"""`llava ask -o FILE`: one record, of a failure too; records of others are not touched, and added to where asked."""

from __future__ import annotations

import json

import pytest
from cli.lists import MODEL, records


@pytest.fixture
def ask(llava, picture, tiny):
    def run(*arguments):
        return llava("ask", picture, "Why?", "-m", tiny, "--max-new-tokens", "3", *arguments)

    return run


@pytest.mark.parametrize(
    ("arguments", "code", "question"),
    [
        (["none.mp4", "Why?"], "input", "Why?"),
        (["none.mp4", "Why?", "--json"], "input", "Why?"),
        (["--conversation", "none.json"], "input", None),
        (["none.mp4", " "], "usage", None),
        (["none.mp4", "Why?", "-m", "no-such-checkpoint"], "model", "Why?"),
    ],
)
def test_the_record_of_a_failure(llava, tiny, tmp_path, monkeypatch, arguments, code, question):
    monkeypatch.chdir(tmp_path)
    model = [] if "-m" in arguments else ["-m", tiny]
    result = llava("ask", *arguments, *model, "-o", "out.json")
    assert result.out == ""
    (record,) = records((tmp_path / "out.json").read_text())
    assert (record["status"], record["error"]["code"], record["question"]) == ("error", code, question)
    assert record["error"]["message"] in result.err


def test_a_single_answer_may_be_replaced_and_a_ledger_may_not(llava, ask, picture, tiny, tmp_path):
    single, ledger = tmp_path / "answer.json", tmp_path / "ledger.jsonl"
    assert [ask("-o", single).code, ask("-o", single).code] == [0, 0]
    assert len(records(single.read_text())) == 1
    assert llava("caption", picture, "-m", tiny, *MODEL, "-o", ledger).code == 0
    before = ledger.read_bytes()
    result = ask("-o", ledger)
    assert result.code == 6
    assert "--append adds to them" in result.err
    assert ledger.read_bytes() == before


def test_append_adds_to_a_ledger_which_its_batch_goes_on_with(llava, ask, picture, tiny, tmp_path):
    ledger = tmp_path / "ledger.jsonl"
    assert llava("caption", picture, "-m", tiny, *MODEL, "-o", ledger).code == 0
    assert ask("-o", ledger, "--append").code == 0
    assert llava("ask", tmp_path / "none.png", "Why?", "-m", tiny, "-o", ledger, "--append").code == 3
    assert [one["status"] for one in records(ledger.read_text())] == ["ok", "ok", "error"]
    again = llava("caption", picture, "-m", tiny, *MODEL, "-o", ledger)
    assert "0 done, 0 failed, 1 skipped" in again.err
    assert len(records(ledger.read_text())) == 3
    assert ask("-o", ledger).code == 6


def test_append_to_what_is_no_ledger_and_to_nothing(ask, tmp_path):
    notes, new = tmp_path / "notes.txt", tmp_path / "new.jsonl"
    notes.write_text("mine\n")
    assert ask("-o", notes, "--append").code == 6
    assert notes.read_text() == "mine\n"
    assert [ask("-o", new, "--append").code, ask("-o", new, "--append").code] == [0, 0]
    one, two = records(new.read_text())
    assert one["id"] == two["id"]
    assert not list(tmp_path.glob("*.claims"))
    assert ask("--append").code == 2


def test_records_of_a_file_are_json_whatever_is_wrong(llava, tmp_path):
    result = llava("ask", b"a\xff.mp4".decode("utf-8", "surrogateescape"), "Why?", "-m", "demo", "-o", tmp_path / "o")
    assert result.code == 3
    json.dumps(records((tmp_path / "o").read_text()), ensure_ascii=False).encode()
