# SPDX-License-Identifier: Apache-2.0
"""What EXIT STATUS in llava(1) promises, row by row. Each test repeats the one that it checks.

More of each is in the tests of the commands; here it is what a script sees.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
from pathlib import Path

import pytest
from cli.programs import started, wait_for_reader
from promises import noted_in

from llava_cli.demo import show
from llava_cli.errors import ExitCode
from man.make import EXIT_STATUS

README = Path(__file__).parents[2] / "README.md"
CHECKED: list[str] = []
promise = noted_in(CHECKED)


def test_every_row_is_checked_and_every_check_is_of_a_row():
    assert [f"{codes}: {words}" for codes, words in EXIT_STATUS] == CHECKED


def test_the_rows_are_the_program_s_exit_codes():
    assert [int(code) for codes, _ in EXIT_STATUS for code in codes.split(", ")] == list(ExitCode)


def test_readme_has_the_same_rows():
    table = README.read_text().split("| exit code | meaning |\n")[1].split("\n\n")[0]
    assert re.findall(r"^\| ([\d, ]+) \|", table, re.MULTILINE) == [codes for codes, _ in EXIT_STATUS]


@promise("0: what was asked for is done")
@pytest.mark.parametrize(
    "arguments", [["ask", "CLIP", "Why?"], ["caption", "CLIP"], ["frames", "CLIP"], ["models", "show"]]
)
def test_done(llava, rendered, tiny, arguments):
    named = [rendered("h264") if argument == "CLIP" else argument for argument in arguments]
    limited = ["--max-new-tokens", "2", "-n", "2"] if arguments[0] in ("ask", "caption") else []
    model = [tiny] if arguments[0] == "models" else ["-m", tiny]
    result = llava(*named, *model, *limited)
    assert (result.code, bool(result.out)) == (ExitCode.OK, True)


@promise(
    "1: some jobs of a list failed; an answer was cut off before it fitted its --schema, --regex or --grammar; grep: "
    "nothing matches; demo: an answer was wrong; doctor: there is a problem; any command: who read its output has gone"
)
@pytest.mark.parametrize("command", ["caption", "batch"])
def test_some_jobs_failed(llava, rendered, tiny, tmp_path, command):
    missing, listed = tmp_path / "missing.mp4", tmp_path / "jobs.jsonl"
    names = [str(rendered("h264")), str(missing)]
    listed.write_text("".join(json.dumps({"media": name, "question": "Why?"}) + "\n" for name in names))
    files = names if command == "caption" else [listed]
    result = llava(command, *files, "-m", tiny, "--max-new-tokens", "2", "-n", "2")
    assert result.code == ExitCode.SOME_FAILED
    assert sorted(json.loads(line)["status"] for line in result.out.splitlines()) == ["error", "ok"]


@pytest.mark.parametrize("shape", [("--schema", "a str"), ("--regex", "[a-z]{99}"), ("--grammar", 'start: "a" "b"')])
def test_an_answer_was_cut_off_before_it_fitted(llava, rendered, tiny, shape):
    result = llava("ask", rendered("h264"), "Why?", "-m", tiny, "-n", "2", "--max-new-tokens", "1", *shape)
    assert (result.code, result.out) == (ExitCode.SOME_FAILED, "")
    assert "cut off" in result.err


def test_nothing_matches(llava, rendered, tiny):
    result = llava("grep", "a dog", rendered("h264"), "-m", tiny, "-n", "2", "--threshold", "1")
    assert (result.code, result.out) == (ExitCode.SOME_FAILED, "")


def test_an_answer_of_the_demo_was_wrong(llava, tmp_path, monkeypatch):
    monkeypatch.setattr(show, "CLIP_QUESTIONS", (("What shape is it?", "It is a star."),))
    monkeypatch.setattr(show, "STILL_QUESTIONS", ())
    assert llava("demo", "--output-dir", tmp_path).code == ExitCode.SOME_FAILED


def test_doctor_has_found_a_problem(llava, monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    (tmp_path / "llava").mkdir()
    (tmp_path / "llava" / "config.toml").write_text("modle = 1")
    assert llava("doctor", "--no-self-test").code == ExitCode.SOME_FAILED


def test_who_read_the_output_has_gone(rendered, tiny):
    reading, writing = os.pipe()
    os.close(reading)
    process = started("frames", rendered("h264"), "-m", tiny, stdout=writing, stderr=subprocess.PIPE)
    os.close(writing)
    assert (process.communicate()[1], process.returncode) == (b"", ExitCode.SOME_FAILED)


@promise("2: a mistake in the command line or the configuration, or media that do not fit into the context")
@pytest.mark.parametrize("arguments", [["--nope"], ["ask", "clip.mp4"], ["ask", "clip.mp4", "Why?", "--frames", "0"]])
def test_a_mistake_in_the_command_line(llava, arguments):
    assert llava(*arguments).code == ExitCode.USAGE


def test_a_mistake_in_the_configuration(llava, monkeypatch, tmp_path):
    monkeypatch.setenv("LLAVA_FRAMES", "many")
    assert llava("ask", "clip.mp4", "Why?").code == ExitCode.USAGE
    monkeypatch.setenv("LLAVA_FRAMES", "4")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    (tmp_path / "llava").mkdir()
    (tmp_path / "llava" / "config.toml").write_text("modle = 1")
    assert llava("ask", "clip.mp4", "Why?").code == ExitCode.USAGE


def test_media_that_do_not_fit_into_the_context(llava, rendered, tiny, tmp_path):
    short = shutil.copytree(tiny, tmp_path / "short")
    config = json.loads((short / "config.json").read_text())
    config["text_config"]["max_position_embeddings"] = 200
    (short / "config.json").write_text(json.dumps(config))
    result = llava("ask", rendered("h264"), "Why?", "-m", short, "-n", "80", "--max-new-tokens", "5")
    assert result.code == ExitCode.USAGE
    assert "would fit" in result.err


@promise("3: a file cannot be read, or has no video or image in it")
@pytest.mark.parametrize("content", [None, b"", b"hello, this is no video\n" * 50])
@pytest.mark.parametrize("command", [["ask", "-p", "Why?"], ["frames"]])
def test_a_file_that_shows_nothing(llava, tiny, tmp_path, command, content):
    if content is not None:
        (tmp_path / "clip.mp4").write_bytes(content)
    assert llava(*command, tmp_path / "clip.mp4", "-m", tiny).code == ExitCode.INPUT


@promise("4: the checkpoint cannot be found, reached or used")
def test_a_checkpoint_that_cannot_be_found(llava, picture):
    assert llava("ask", picture, "Why?", "-m", "no-such-checkpoint").code == ExitCode.MODEL


def test_a_checkpoint_that_cannot_be_reached(llava, monkeypatch, tmp_path):
    import huggingface_hub.constants

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    assert llava("models", "pull", "onevision-0.5b").code == ExitCode.MODEL


@pytest.mark.parametrize(("name", "content"), [("config.json", '{"model_type": "bert"}'), ("model.safetensors", "x")])
def test_a_checkpoint_that_cannot_be_used(llava, picture, tiny, tmp_path, name, content):
    broken = shutil.copytree(tiny, tmp_path / "broken")
    (broken / name).write_text(content)
    assert llava("ask", picture, "Why?", "-m", broken).code == ExitCode.MODEL


@promise("5: too little memory")
def test_too_little_memory(llava, picture, tiny, monkeypatch):
    monkeypatch.setattr("llava_cli.engine.planning.free_memory", lambda device: 1 << 20)
    result = llava("ask", picture, "Why?", "-m", tiny)
    assert result.code == ExitCode.OUT_OF_MEMORY
    assert "of 0.0 GiB free" in result.err


@promise("6: the result cannot be written")
def test_a_result_that_cannot_be_written(llava, picture, rendered, tiny, tmp_path):
    missing = tmp_path / "missing" / "answer.json"
    assert llava("ask", picture, "Why?", "-m", tiny, "-o", missing).code == ExitCode.OUTPUT
    assert llava("caption", picture, "-m", tiny, "-o", missing).code == ExitCode.OUTPUT
    with Path("/dev/full").open("wb") as full:
        assert (
            started("frames", rendered("h264"), "-m", tiny, stdout=full, stderr=subprocess.DEVNULL).wait()
            == ExitCode.OUTPUT
        )


@promise("70: a bug in llava; the path of a log is printed")
def test_a_bug(llava, monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    monkeypatch.setattr("llava_cli.session.open_family", lambda *_: 1 / 0)
    result = llava("ask", "x.mp4", "Why?", "-m", "demo")
    assert result.code == ExitCode.BUG
    (log,) = (tmp_path / "llava").iterdir()
    assert str(log) in result.err


@promise("130, 143: interrupted, terminated")
@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, ExitCode.INTERRUPTED), (signal.SIGTERM, ExitCode.TERMINATED)]
)
def test_a_signal(tiny, tmp_path, number, code):
    fifo = tmp_path / "never-written"
    os.mkfifo(fifo)
    process = started("frames", fifo, "-m", tiny, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    writer = wait_for_reader(fifo)
    process.send_signal(number)
    assert process.wait(30) == code
    os.close(writer)
