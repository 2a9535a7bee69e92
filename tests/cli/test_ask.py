# SPDX-License-Identifier: Apache-2.0
"""`llava ask`: an answer on stdout, one line on stderr for what is wrong, and a record that says what was seen."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from llava_cli.cli.ask import split_arguments
from llava_cli.errors import UsageError
from llava_cli.media.worker import parent


def test_the_answer_and_nothing_else_is_on_stdout(llava, rendered, tiny):
    result = llava("ask", rendered("h264"), "Why is this funny?", "-m", tiny, "--max-new-tokens", "8", "-n", "8")
    assert result.code == 0
    assert result.out.endswith("\n")
    assert len(result.out) > 2
    plain = llava("ask", rendered("h264"), "Why is this funny?", "-m", tiny, "--max-new-tokens", "8", "-n", "8", "-q")
    assert (plain.out, plain.err) == (result.out, "")


def test_the_record_says_what_was_seen(llava, rendered, picture, tiny):
    path = rendered("h264")
    result = llava(
        "ask", path, picture, "Why?", "-m", tiny, "--json", "--frames", "4", "--start", "1", "--end", "0:03",
        "--max-new-tokens", "5", "--system", "Be brief.",
    )  # fmt: skip
    record = json.loads(result.out)
    assert result.out.count("\n") == 1
    video, still = record["media"]
    assert (video["path"], video["kind"], video["decoder"]) == (str(path), "video", "pyav")
    assert [frame["index"] for frame in video["frames"]] == [25, 37, 50, 62]
    assert (still["kind"], still["width"], still["height"]) == ("image", 90, 60)
    assert record["usage"]["visual_tokens"] == video["visual_tokens"] + still["visual_tokens"]
    assert record["usage"]["prompt_tokens"] > record["usage"]["visual_tokens"]
    assert record["usage"]["completion_tokens"] == 5
    assert record["generation"]["do_sample"] is False
    assert record["model"]["family"] == "llava-next-video"


def test_json_and_text_hold_the_same_answer(llava, picture, tiny):
    text = llava("ask", picture, "Why?", "-m", tiny, "--max-new-tokens", "9")
    record = llava("ask", picture, "Why?", "-m", tiny, "--max-new-tokens", "9", "--json")
    assert json.loads(record.out)["answer"] == text.out.rstrip("\n")


def test_a_sampled_answer_can_be_repeated_from_its_record(llava, picture, tiny):
    options = ("-m", tiny, "--max-new-tokens", "9", "--json", "--temperature", "1.4")
    first = json.loads(llava("ask", picture, "Why?", *options).out)
    seed = first["generation"]["seed"]
    assert seed is not None
    again = json.loads(llava("ask", picture, "Why?", *options, "--seed", str(seed)).out)
    assert again["answer"] == first["answer"]


def test_a_file_gets_the_record_instead_of_stdout(llava, picture, tiny, tmp_path):
    target = tmp_path / "answer.json"
    result = llava("ask", picture, "Why?", "-m", tiny, "--max-new-tokens", "3", "-o", target)
    assert (result.code, result.out) == (0, "")
    assert json.loads(target.read_text())["status"] == "ok"


def test_a_file_that_cannot_be_written_is_found_out_before_loading(llava, picture, tiny, tmp_path):
    result = llava("ask", picture, "Why?", "-m", tiny, "-o", tmp_path / "missing" / "answer.json")
    assert result.code == 6
    assert "its folder does not exist" in result.err


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "no such file"),
        (b"", "empty"),
        (b"hello, this is no video\n" * 50, ""),
        (b"ffconcat version 1.0\nfile other.mp4\n", ""),
        (b"\x00\x00\x00\x20ftypisom" + b"\x00" * 2000, ""),
    ],
)
@pytest.mark.parametrize("as_json", [False, True])
def test_a_file_that_shows_nothing_is_exit_code_3_and_one_line(llava, tiny, tmp_path, content, message, as_json):
    path = tmp_path / "clip.mp4"
    if content is not None:
        path.write_bytes(content)
    result = llava("ask", path, "Why?", "-m", tiny, *(["--json"] if as_json else []))
    assert result.code == 3
    assert result.err.count("\n") == 1
    assert str(path) in result.err
    assert message in result.err
    if as_json:
        record = json.loads(result.out)
        assert (record["status"], record["error"]["code"]) == ("error", "input")
        assert "answer" not in record
    else:
        assert result.out == ""


def test_a_video_without_frames_gets_no_answer(llava, tiny, rendered, tmp_path):
    whole = rendered("h264").read_bytes()
    cut = tmp_path / "cut.mp4"
    cut.write_bytes(whole[: len(whole) // 3])
    result = llava("ask", cut, "Why?", "-m", tiny)
    assert (result.code, result.out) == (3, "")


@pytest.mark.parametrize(
    ("arguments", "prompt", "message"),
    [
        (["clip.mp4"], None, "is missing"),
        (["Why?"], None, "is missing"),
        (["clip.mp4", "  "], None, "the question is empty"),
        (["clip.mp4"], "", "the question is empty"),
        (["-", "-", "Why?"], None, "only once"),
    ],
)
def test_incomplete_command_lines(arguments, prompt, message):
    with pytest.raises(UsageError, match=message):
        split_arguments(arguments, prompt)


def test_the_question_may_come_as_an_option():
    assert split_arguments(["a.mp4", "b.mp4"], "Why?") == (["a.mp4", "b.mp4"], "Why?")
    assert split_arguments(["a.mp4", "b.mp4", "Why?"], None) == (["a.mp4", "b.mp4"], "Why?")


def test_an_unknown_device_says_what_to_do(llava, picture, tiny):
    result = llava("ask", picture, "Why?", "-m", tiny, "--device", "cuda:99")
    assert result.code == 2
    assert "--device cpu" in result.err


def test_flash_attention_without_its_package_says_what_to_do(llava, picture, tiny):
    result = llava("ask", picture, "Why?", "-m", tiny, "--attention", "flash_attention_2")
    assert result.code == 2
    assert "try sdpa" in result.err


def test_a_missing_checkpoint_is_exit_code_4(llava, picture):
    result = llava("ask", picture, "Why?", "-m", "no-such-checkpoint")
    assert result.code == 4
    assert result.err.count("\n") == 1


def test_the_second_decoder_is_said_and_recorded(llava, rendered, tiny, monkeypatch):
    broken = "import av\ndef broken(*_, **__): raise av.error.InvalidDataError(1, 'made to fail')\nav.open = broken\n"
    before, after = parent.PROGRAM.split("from llava_cli.media.worker.child")
    monkeypatch.setattr(parent, "PROGRAM", f"{before}\n{broken}from llava_cli.media.worker.child{after}")
    result = llava("ask", rendered("h264"), "Why?", "-m", tiny, "--json", "-n", "4", "--max-new-tokens", "2")
    assert result.code == 0, result.err
    assert "OpenCV" in result.err
    media = json.loads(result.out)["media"][0]
    assert media["decoder"] == "opencv"
    assert [frame["index"] for frame in media["frames"]] == [0, 25, 50, 75]
    assert any("OpenCV" in warning for warning in media["warnings"])


def test_standard_input_is_a_file_like_any_other(llava, as_program, rendered, tiny):
    path = rendered("h264")
    options = ("Why?", "-m", tiny, "--max-new-tokens", "6", "-n", "4", "-q")
    with path.open("rb") as stream:
        piped = as_program("ask", "-", *options, stdin=stream)
    named = llava("ask", path, *options)
    assert named.code == piped.returncode == 0
    assert piped.stdout.decode() == named.out
    assert len(named.out) > 1


def test_a_name_of_any_bytes_is_just_a_file(as_program, picture, tiny, tmp_path):
    name = os.fsencode(tmp_path) + b"/-x\xff\n:http:a.png"
    with open(name, "wb") as file:  # noqa: PTH123 (bytes)
        file.write(picture.read_bytes())
    done = as_program("ask", name, "Why?", "-m", tiny, "--json", "--max-new-tokens", "2")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["media"][0]["kind"] == "image"


def test_a_reader_that_has_gone_ends_it_quietly(picture, tiny):
    command = [sys.executable, "-m", "llava_cli", "ask", picture, "Why?", "-m", tiny, "-q"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL)
    process.stdout.close()
    errors = process.stderr.read()
    process.stderr.close()
    assert process.wait(60) != 0
    assert errors == b""


def test_a_full_disk_is_exit_code_6(picture, tiny):
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            [sys.executable, "-m", "llava_cli", "ask", picture, "Why?", "-m", tiny, "-q"],
            stdout=full, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, timeout=60,
        )  # fmt: skip
    assert done.returncode == 6
    assert done.stderr.decode() == "llava: stdout: cannot be written: the disk is full\n"


def test_on_a_terminal_the_answer_streams_and_ends_the_same(picture, tiny, llava):
    """A terminal gets the same text, in pieces, without control characters, and a newline at the end."""
    import pty

    options = ["ask", str(picture), "Why?", "-m", str(tiny), "--max-new-tokens", "24", "-q"]
    master, slave = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "llava_cli", *options],
        stdout=slave, stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    os.close(slave)
    shown = b""
    while True:
        try:
            piece = os.read(master, 4096)
        except OSError:
            break
        if not piece:
            break
        shown += piece
    os.close(master)
    assert process.wait(60) == 0
    piped = llava(*options).out
    visible = "".join(c for c in piped if c in "\n\t" or not (ord(c) < 32 or 127 <= ord(c) < 160))
    assert shown.decode().replace("\r\n", "\n") == visible


def test_a_conversation_from_a_file(llava, rendered, picture, tiny, tmp_path):
    """History with a system prompt; a question on the command line follows it."""
    chat = tmp_path / "chat.json"
    messages = [
        {"role": "system", "content": "Be polite."},
        {"role": "user", "content": [{"type": "image", "path": str(picture)}, {"type": "text", "text": "What is it?"}]},
        {"role": "assistant", "content": "A gradient."},
        {
            "role": "user",
            "content": [{"type": "video", "path": str(rendered("h264"))}, {"type": "text", "text": "Why?"}],
        },
    ]
    chat.write_text(json.dumps(messages))
    options = ("-m", tiny, "--json", "-n", "4", "--max-new-tokens", "5")
    whole = json.loads(llava("ask", "--conversation", chat, *options).out)
    assert (whole["status"], whole["question"]) == ("ok", "Why?")
    assert [medium["kind"] for medium in whole["media"]] == ["image", "video"]
    chat.write_text(json.dumps(messages[:3]))
    followed = json.loads(llava("ask", "--conversation", chat, rendered("h264"), "Why?", *options).out)
    assert followed["usage"] == whole["usage"]
    assert followed["answer"] == whole["answer"]
    alone = json.loads(llava("ask", rendered("h264"), "Why?", *options).out)
    assert alone["usage"]["prompt_tokens"] < whole["usage"]["prompt_tokens"]


@pytest.mark.parametrize(
    ("messages", "message"),
    [
        ([{"role": "user", "content": "Hello"}], "shows no video"),
        ([{"role": "user", "content": "Hello"}, {"role": "assistant", "content": "Hi"}], "a question must follow"),
    ],
)
def test_a_conversation_that_cannot_be_answered(llava, tiny, tmp_path, messages, message):
    chat = tmp_path / "chat.json"
    chat.write_text(json.dumps(messages))
    result = llava("ask", "--conversation", chat, "-m", tiny)
    assert result.code == 3
    assert message in result.err


def test_a_dry_run_reads_no_weights(llava, rendered, tiny, tmp_path):
    import shutil

    copy = shutil.copytree(tiny, tmp_path / "copy")
    (copy / "model.safetensors").write_bytes(b"no weights")
    result = llava("ask", rendered("h264"), "Why?", "-m", copy, "-n", "4", "--dry-run")
    assert result.code == 0
    assert "4 frames, 16 visual tokens" in result.out
    record = json.loads(llava("ask", rendered("h264"), "Why?", "-m", copy, "-n", "4", "--dry-run", "--json").out)
    assert record["status"] == "planned"
    assert set(record["memory"]) == {"weights", "cache", "activations", "free", "fixed", "total"}
    assert "answer" not in record


def test_too_many_frames_are_named_or_fitted(llava, rendered, tiny, tmp_path):
    import shutil

    short = shutil.copytree(tiny, tmp_path / "short")
    config = json.loads((short / "config.json").read_text())
    config["text_config"]["max_position_embeddings"] = 200
    (short / "config.json").write_text(json.dumps(config))
    options = ("-m", short, "-n", "80", "--max-new-tokens", "5", "--json")
    refused = llava("ask", rendered("h264"), "Why?", *options)
    assert refused.code == 2
    error = json.loads(refused.out)["error"]
    assert error["code"] == "context"
    fitted = json.loads(llava("ask", rendered("h264"), "Why?", *options, "--fit").out)
    frames = len(fitted["media"][0]["frames"])
    assert f"--frames {frames} would fit" in error["message"]
    assert fitted["usage"]["prompt_tokens"] + 5 <= 200
    assert str(frames) in fitted["warnings"][0]


@pytest.mark.parametrize(
    "options", [("--4bit", "--8bit"), ("--quantize-all",), ("--rope-scaling", "yarn:2"), ("--rope-scaling", "linear:x")]
)
def test_options_that_contradict(llava, picture, tiny, options):
    assert llava("ask", picture, "Why?", "-m", tiny, *options).code == 2
