# SPDX-License-Identifier: Apache-2.0
"""`llava caption` with a real checkpoint: a record for each file and question, and everything that is made of them."""

from __future__ import annotations

import csv
import json
import os
import pty
import re
import shutil
import signal
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path

import pytest
from cli.lists import MODEL, records
from cli.programs import started

from llava_cli.batch.writers.table import harmless
from llava_cli.words import visible


def by_job(found: list[dict]) -> dict:
    jobs = {(record["media"][0]["path"], record["question"]): record for record in found}
    assert len(jobs) == len(found)
    return jobs


def test_one_record_for_each_file_and_question_and_exit_code_1_for_failures(llava, files, tiny):
    result = llava("caption", files, "-m", tiny, *MODEL, "-p", "Why?", "-p", "Who is it?")
    assert result.code == 1
    jobs = by_job(records(result.out))
    assert {Path(path).name for path, _ in jobs} == set(os.listdir(files))
    assert len(jobs) == 16
    failed = {Path(path).name for (path, _), record in jobs.items() if record["status"] == "error"}
    assert failed == {"empty.mp4", "corrupt.mp4"}
    assert "12 done, 4 failed, 0 skipped" in result.err
    assert "busy" in result.err
    quiet = llava("caption", files, "-m", tiny, *MODEL, "-p", "Why?", "-q")
    assert quiet.err == "llava: 2 failed\n"


def test_without_failures_the_exit_code_is_0_and_the_question_is_the_kinds(llava, files, tiny):
    result = llava("caption", files / "still0.png", files / "vp9.webm", "-m", tiny, *MODEL)
    assert result.code == 0
    assert {record["question"] for record in records(result.out)} == {
        "Describe this video in detail.", "Describe this image in detail."
    }  # fmt: skip


def test_a_ledger_is_continued_and_a_changed_setting_is_new_work(llava, files, tiny, tmp_path):
    ledger = tmp_path / "out.jsonl"
    options = (files, "-m", tiny, *MODEL, "-o", ledger)
    first = llava("caption", *options, "--limit", "3")
    assert (first.out, len(records(ledger.read_text()))) == ("", 3)
    assert llava("caption", *options).code == 1
    whole = ledger.read_text()
    assert len(by_job(records(whole))) == 8
    again = llava("caption", *options)
    assert again.code == 1  # two have failed, if not in this run
    assert "0 failed, 2 before; --retry-failed" in again.err
    assert ledger.read_text() == whole
    assert "0 done, 0 failed, 8 skipped" in again.err
    assert "2 failed" in llava("caption", *options, "--retry-failed").err
    assert "1 done, 0 failed" in llava("caption", files / "vp9.webm", "-m", tiny, *MODEL[:-1], "5", "-o", ledger).err
    assert "1 done, 0 failed" in llava("caption", files / "vp9.webm", "-m", tiny, *MODEL, "-o", ledger, "--force").err
    assert ledger.read_text().startswith(whole)


def test_lists_of_names_of_any_bytes(as_program, files, tiny, tmp_path):
    odd = [os.fsencode(tmp_path) + name for name in (b"/-x\xff\n.mp4", b"/a b'\".mp4", b"/http:x.mp4")]
    for name in odd:
        shutil.copy(files / "vp9.webm", name)
    listed = b"".join(name + b"\0" for name in [*odd, odd[0], os.fsencode(tmp_path) + b"/missing.mp4"])
    result = as_program("caption", "-0", "--files-from", "-", "-m", tiny, *MODEL, stdin=None, input=listed)
    assert result.returncode == 1, result.stderr
    found = records(result.stdout.decode())
    assert [record["status"] for record in found].count("ok") == 3
    assert len({record["answer"] for record in found if record["status"] == "ok"}) == 1
    assert len(found) == 4
    assert any("path_b64" in record["media"][0] for record in found)
    assert b"3 done, 1 failed, 1 skipped" in result.stderr


def test_sidecars_tables_and_a_report(llava, files, tiny, tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    for name in ("a/x.webm", "b/x.webm", "b/x.mp4", "b/y.mp4"):
        shutil.copy(files / ("vp9.webm" if name.endswith("webm") else "rotated_90.mp4"), tmp_path / name)
    (tmp_path / "b" / "bad.mp4").touch()
    out = tmp_path / "out"
    common = ("caption", "-r", tmp_path / "a", tmp_path / "b", "-m", tiny, *MODEL, "-o", tmp_path / "ledger.jsonl")
    outputs = ("--csv", tmp_path / "t.csv", "--report", tmp_path / "r.html", "--sidecar", "txt")
    assert llava(*common, *outputs, "--output-dir", out).code == 1
    answers = {
        record["media"][0]["path"]: record.get("answer") for record in records((tmp_path / "ledger.jsonl").read_text())
    }
    below = out / str(tmp_path).lstrip("/")
    for name, sidecar in [("a/x.webm", "a/x.txt"), ("b/x.webm", "b/x.webm.txt"), ("b/x.mp4", "b/x.mp4.txt")]:
        assert (below / sidecar).read_text() == answers[str(tmp_path / name)] + "\n"
    assert not (below / "b" / "bad.txt").exists()
    with (tmp_path / "t.csv").open(newline="") as file:
        rows = {row["media"]: row for row in csv.DictReader(file)}
    assert {path: row["answer"] or None for path, row in rows.items()} == {
        path: answer and harmless(answer) for path, answer in answers.items()
    }
    page = (tmp_path / "r.html").read_text()
    assert page.count("<section") == 5
    assert page.index("bad.mp4: is empty") < page.index("<img")  # failures first
    assert page.count("data:image/jpeg") == 4
    assert "http" not in page.replace("http-equiv", "")
    # A second run has nothing to ask, and writes the same.
    (tmp_path / "r.html").unlink()
    assert llava(*common, *outputs[:4]).code == 1
    assert (tmp_path / "r.html").read_text().count("data:image/jpeg") == 4
    assert "0 done, 0 failed, 5 skipped" in llava(*common, "--sidecar", "json").err
    assert json.loads((tmp_path / "b" / "y.json").read_text())[0]["answer"] == answers[str(tmp_path / "b" / "y.mp4")]


@pytest.mark.parametrize(
    "arguments",
    [
        ("caption",), ("caption", "-"), ("caption", "a.mp4", "-0"), ("caption", "a.mp4", "-p", " "),
        ("caption", "a.mp4", "--shard", "0/3"), ("caption", "a.mp4", "--shard", "4/3"),
        ("caption", "a", "--limit", "0"),
        ("caption", "a.mp4", "--batch-size", "0"), ("caption", "a.mp4", "--batch-size", "many"),
        ("caption", "a.mp4", "--output-dir", "b"), ("batch",), ("batch", "a.jsonl", "-p", ""),
    ],
)  # fmt: skip
def test_command_lines_that_make_no_sense(llava, arguments):
    result = llava(*arguments)
    assert (result.code, result.out) == (2, "")
    assert "Traceback" not in result.err


def test_lists_and_ledgers_that_cannot_be_opened(llava, tiny, files, tmp_path):
    assert llava("batch", tmp_path / "missing.jsonl", "-m", tiny).code == 3
    assert llava("caption", "--files-from", tmp_path / "missing", "-m", tiny).code == 3
    notes = tmp_path / "notes.txt"
    notes.write_text("mine\n")
    assert llava("caption", files, "-m", tiny, "-o", notes).code == 6
    assert notes.read_text() == "mine\n"
    assert llava("caption", files, "-m", tiny, "-o", tmp_path / "missing" / "ledger").code == 6


def test_shards_share_a_list_out(llava, files, tiny):
    paths = []
    for number in (1, 2, 3):
        result = llava("caption", files, "-m", tiny, *MODEL, "-p", "Why?", "--shard", f"{number}/3")
        paths += [Path(record["media"][0]["path"]).name for record in records(result.out)]
    assert sorted(paths) == sorted(os.listdir(files))


def test_where_everything_is_done_no_library_of_the_model_is_imported(as_program, llava, files, tiny, tmp_path):
    """Of a checkpoint whose config.json says all that is to be known of it."""
    options = ("caption", files / "still0.png", "-m", "demo", "-o", tmp_path / "out.jsonl")
    assert llava(*options).code == 0
    program = "import sys; from llava_cli.cli.app import _run; _run(); print('torch' in sys.modules, file=sys.stderr)"
    command = [sys.executable, "-c", program, *map(str, options)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stderr.endswith("0 done, 0 failed, 1 skipped; nothing to do\nFalse\n")


@pytest.mark.slow
def test_ctrl_c_ends_a_list_that_only_repeats_itself(files, tiny):
    reading, writing = os.pipe()
    command = ("caption", "--files-from", "-", "-m", tiny, *MODEL, "-p", "Why?")
    process = started(*command, stdin=reading, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    os.close(reading)
    line = os.fsencode(files / "still0.png") + b"\n"

    def feed() -> None:
        with suppress(BrokenPipeError):
            while True:
                os.write(writing, line * 100)

    threading.Thread(target=feed, daemon=True).start()
    assert json.loads(process.stdout.readline())["status"] == "ok"  # though the list has no end
    process.send_signal(signal.SIGINT)
    error = process.communicate(timeout=60)[1].decode()
    assert process.returncode == 130
    assert "1 done" in error


def test_whole_prompts_and_templates_for_many_files(llava, files, tiny):
    clips = (files / "h264.mp4", files / "vp9.webm")
    options = ("-m", tiny, *MODEL)
    asked = {r["media"][0]["path"]: r for r in records(llava("caption", *clips, "-p", "Why?", *options).out)}
    for words in (("-p", "USER: <video>\nWhy? ASSISTANT:", "--raw"),
                  ("-p", "Why?", "--template", str(tiny / "chat_template.json"))):  # fmt: skip
        for record in records(llava("caption", *clips, *words, *options).out):
            other = asked[record["media"][0]["path"]]
            assert (record["answer"], record["usage"]) == (other["answer"], other["usage"])
            assert record["key"] != other["key"]


@pytest.mark.parametrize(
    "words", [("--raw",), ("--raw", "-p", "<video>", "--system", "Be brief."), ("-p", "Why?", "--template", "{% if %}")]
)
def test_wording_that_makes_no_sense_is_told_before_anything_is_done(llava, files, tiny, words):
    result = llava("caption", files, "-m", tiny, *words)
    assert (result.code, result.out) == (2, "")


def on_a_terminal(*arguments: str | Path) -> tuple[int, str]:
    """The exit code of a command whose answers go to a terminal, and what stood on it."""
    master, slave = pty.openpty()
    process = started(*arguments, stdout=slave, stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL)
    os.close(slave)
    shown = b""
    with suppress(OSError):
        while piece := os.read(master, 4096):
            shown += piece
    os.close(master)
    return process.wait(60), shown.decode().replace("\r\n", "\n")


def test_a_terminal_gets_answers_and_a_pipe_records(llava, files, tiny):
    options = ("-m", tiny, *MODEL, "-p", "Why?")
    good, bad = files / "still0.png", files / "empty.mp4"
    (record, _) = sorted(
        records(llava("caption", good, bad, *options).out), key=lambda one: one["status"], reverse=True
    )
    code, shown = on_a_terminal("caption", good, bad, *options)
    assert (code, shown) == (1, f"{good}: {visible(record['answer'])}\n")
    code, shown = on_a_terminal("caption", good, bad, *options, "--json")
    assert (code, [one["status"] for one in map(json.loads, shown.splitlines())].count("ok")) == (1, 1)


def test_recipes_with_jq_skip_failures(llava, files, tiny, tmp_path):
    if shutil.which("jq") is None:
        pytest.skip("jq is not installed")
    found = llava("caption", files / "still0.png", files / "empty.mp4", "-m", tiny, *MODEL).out
    readme = (Path(__file__).parents[2] / "README.md").read_text()
    filters = re.findall(r"jq (-r '[^']*answer[^']*')", readme)
    assert len(filters) == 2
    for words in filters:
        done = subprocess.run(f"jq {words}", shell=True, input=found, capture_output=True, text=True)
        assert (done.returncode, "null" in done.stdout) == (0, False)


def test_a_caption_by_hand_is_kept_and_the_job_says_so(llava, files, tiny, tmp_path):
    for name in ("one.png", "two.png"):
        shutil.copy(files / "still0.png", tmp_path / name)
    mine, ledger = tmp_path / "one.txt", tmp_path / "out.jsonl"
    mine.write_text("by hand")
    command = ("caption", tmp_path, "-m", tiny, *MODEL, "-o", ledger, "--sidecar", "txt")
    result = llava(*command)
    assert result.code == 1
    assert "one.txt: is there already, and llava did not write it; --overwrite replaces it" in result.err
    assert mine.read_text() == "by hand"
    answer = (tmp_path / "two.txt").read_text()
    last = {one["media"][0]["path"]: one for one in records(ledger.read_text())}
    assert [last[str(tmp_path / name)]["status"] for name in ("one.png", "two.png")] == ["error", "ok"]
    again = llava(*command, "--retry-failed", "--overwrite")
    assert (again.code, mine.read_text()) == (0, answer)
    # What the list itself has written, other settings may change.
    other = llava(*command, "-p", "Why?")
    assert (other.code, other.err.count("2 done")) == (0, 1), other.err
    assert llava("caption", tmp_path, "-m", tiny, "--overwrite").code == 2


def test_answers_that_were_cut_off_are_said_once(llava, files, tiny):
    result = llava("caption", files / "still0.png", files / "still1.png", "-m", tiny, "--max-new-tokens", "2")
    assert result.err.count("cut off") == 1
    assert "llava: 2 answers were cut off; --max-new-tokens allows longer ones\n" in result.err
    assert all("cut off after 2 tokens" in record["warnings"][0] for record in records(result.out))


@pytest.mark.parametrize("options", [[], ["-q"], ["-r"], ["--ext", "webm"]])
def test_files_that_lie_deeper_are_told_of(llava, files, tiny, tmp_path, options):
    (tmp_path / "day" / "one").mkdir(parents=True)
    shutil.copy(files / "still0.png", tmp_path / "day" / "one")
    result = llava("caption", tmp_path, "-m", tiny, "--max-new-tokens", "2", *options)
    assert result.code == 0
    hint = f"{tmp_path}: has no video and no image itself, but {tmp_path}/day/one/still0.png lies deeper: try -r"
    assert (f"llava: {hint}\n" in result.err) == (not options)
    assert len(records(result.out)) == ("-r" in options)


def test_a_question_of_a_file_and_records_for_standard_output(llava, files, tiny, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "question.txt").write_text("Why?\n")
    options = ("-m", tiny, "--max-new-tokens", "2", "-o", "-", "-p", "@question.txt")
    (record,) = records(llava("caption", files / "still0.png", *options).out)
    assert record["question"] == "Why?"
    assert [path.name for path in tmp_path.iterdir()] == ["question.txt"]
