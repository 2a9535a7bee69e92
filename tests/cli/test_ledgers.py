# SPDX-License-Identifier: Apache-2.0
"""`llava batch export` and `llava batch show`, of ledgers that are only written."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from batch.writers.said import in_windows, of_all

from llava_cli.record import to_json


@pytest.fixture
def ledger(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    whole = {**of_all("The video shows a cat. It sleeps.", "a.mp4"), "usage": {"completion_tokens": 8}}
    failed = [{**one, "error": {"code": "input", "message": "b.mp4: gone"}} for one in in_windows(None, path="b.mp4")]
    records = [whole, *failed, *in_windows("One.", "Two.", path="c.mp4")]
    Path("out.jsonl").write_text("".join(to_json(record) + "\n" for record in records))
    return Path("out.jsonl")


def test_kohya_has_a_caption_beside_each_video_and_leaves_others_files_alone(llava, ledger):
    before = ledger.read_bytes()
    run = ("batch", "export", ledger, "--to", "kohya", "--prefix", "zz, ", "--clean", "--max-sentences", "1")
    result = llava(*run)
    assert (result.code, result.out) == (0, "")
    assert "captions of 2 files" in result.err
    assert {path.name: path.read_text() for path in Path().glob("*.txt")} == {
        "a.txt": "zz, A cat.\n", "c.txt": "zz, One. Two.\n",
    }  # fmt: skip
    assert ledger.read_bytes() == before
    assert llava("batch", "export", ledger, "--to", "kohya").code == 0  # its own may be replaced
    Path("a.txt").write_text("by hand\n")
    refused = llava(*run)
    assert (refused.code, "a.txt: is there already" in refused.err) == (6, True)
    assert llava(*run, "--overwrite").code == 0
    assert Path("a.txt").read_text() == "zz, A cat.\n"


def test_lists_are_printed_or_written(llava, ledger):
    printed = llava("batch", "export", ledger, "--to", "musubi").out
    assert [json.loads(line)["caption"] for line in printed.splitlines()] == [
        "The video shows a cat. It sleeps.", "One. Two.",
    ]  # fmt: skip
    assert llava("batch", "export", ledger, "--to", "musubi", "-o", "list.jsonl").out == ""
    assert Path("list.jsonl").read_text() == printed
    assert llava("batch", "export", ledger, "--to", "videofolder").out == ""
    entries = [json.loads(line) for line in Path("metadata.jsonl").read_text().splitlines()]
    assert [entry["file_name"] for entry in entries] == ["a.mp4", "c.mp4"]
    rows = llava("batch", "export", ledger, "--to", "csv").out.splitlines()
    assert rows[0].startswith("id,status,media,question,answer")
    assert len(rows) == 5


def test_forms_with_times_stand_beside_the_videos_or_in_a_folder(llava, ledger):
    assert llava("batch", "export", ledger, "--to", "srt", "--output-dir", "subs").code == 0
    assert "00:00:10,000 --> 00:00:" in Path("subs/c.srt").read_text()
    assert not Path("subs/b.srt").exists()


@pytest.mark.parametrize(
    ("options", "code", "why"),
    [
        ((), 2, "--to is missing; it says what to write: txt, csv"),
        (("--to", "mp3"), 2, "--to"),
        (("--to", "kohya", "-o", "x"), 2, "--output is for lists"),
        (("--to", "ltx", "--output-dir", "x"), 2, "--output-dir is for files beside media"),
        (("--to", "videofolder", "--output-dir", "elsewhere"), 3, "which a videofolder's files must be"),
    ],
)
def test_what_makes_no_sense_is_refused(llava, ledger, options, code, why):
    result = llava("batch", "export", ledger, *options)
    assert (result.code, why in result.err) == (code, True)


def test_a_ledger_is_shown_to_people(llava, ledger):
    shown = llava("batch", "show", ledger).out
    assert [line.split()[:2] for line in shown.splitlines()[:3]] == [["files", "3"], ["done", "3"], ["failed", "1"]]
    assert "failed: 1 input\n  b.mp4 0:00.000 - 0:10.000: b.mp4: gone\n" in shown
    failed = llava("batch", "show", ledger, "--failed").out.splitlines()
    assert len(failed) == 2
    assert failed[1].endswith("b.mp4: gone")


def test_of_many_failures_the_first_are_shown(llava, tmp_path):
    failures = [{**one, "error": {"code": "input", "message": "gone"}} for one in in_windows(*[None] * 9)]
    (tmp_path / "x").write_text("".join(to_json(one) + "\n" for one in failures))
    shown = llava("batch", "show", tmp_path / "x").out
    assert shown.count(": gone\n") == 5
    assert "and 4 more failures: --failed lists them" in shown


def test_what_is_no_ledger_is_told(llava, tmp_path):
    (tmp_path / "x").write_text("words\n")
    for command in ("show", "export"):
        more = ("--to", "ltx") if command == "export" else ()
        assert llava("batch", command, tmp_path / "none", *more).code == 3
        result = llava("batch", command, tmp_path / "x", *more)
        assert (result.code, "is no ledger" in result.err) == (3, True)


def test_the_first_word_decides_whether_it_is_a_list_or_a_command(llava, ledger, monkeypatch):
    assert "JOBS is missing" in llava("batch").err
    assert llava("batch", "./show").code == 3  # a list of that name
    assert "No such command" not in llava("batch", "shwo").err
    assert "unexpected extra argument" in llava("batch", "a.jsonl", "b.jsonl").err
    assert "Usage: llava batch show [OPTIONS] LEDGER" in llava("batch", "show", "-h").out
