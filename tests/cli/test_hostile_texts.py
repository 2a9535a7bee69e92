# SPDX-License-Identifier: Apache-2.0
"""Texts that are none, wherever a user can put them: one line, an exit code, and what else was asked goes on."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

BAD = b"Wh\xff?"
NO_TEXT = "is not valid Unicode text"


@pytest.mark.parametrize(
    ("arguments", "variables"),
    [
        (["ask", "PICTURE", BAD], {}),
        (["ask", "PICTURE", "-p", BAD], {}),
        (["ask", "PICTURE", "Why?", "--system", BAD], {}),
        (["ask", "PICTURE", "Why?"], {b"LLAVA_SYSTEM": BAD}),
        (["chat", "PICTURE", "--system", BAD], {}),
        (["caption", "PICTURE", "-p", "Why?", "-p", BAD], {}),
        (["caption", "PICTURE"], {b"LLAVA_SYSTEM": BAD}),
        (["batch", "none.jsonl", "-p", BAD], {}),
    ],
)
def test_what_is_said_on_the_command_line_is_looked_at_before_anything_is_opened(
    as_program_with, picture, arguments, variables
):
    named = [str(picture) if argument == "PICTURE" else argument for argument in arguments]
    done = as_program_with(variables, *named, "-m", "no-such-checkpoint")
    assert (done.returncode, done.stdout) == (2, b"")
    assert NO_TEXT.encode() in done.stderr
    assert (b"set by LLAVA_SYSTEM" in done.stderr) == bool(variables)


@pytest.fixture
def as_program_with():
    """Run the command line with variables of any bytes."""

    def run(variables: dict[bytes, bytes], *arguments: str | bytes, **options: object):
        command = [sys.executable, "-m", "llava_cli", *arguments]
        options.setdefault("stdin", subprocess.DEVNULL)
        return subprocess.run(command, capture_output=True, timeout=120, env=os.environb | variables, **options)

    return run


@pytest.mark.parametrize(
    ("part", "message"),
    [
        ({"type": "text", "text": "Why \ud83d?"}, f"message 1: part 2: 'text' {NO_TEXT}"),
        ({"type": "image", "path": "a\ud83d.png"}, r"\ud83d.png' cannot be a file's name"),
    ],
)
def test_a_conversation_file(llava, tiny, picture, tmp_path, part, message):
    chat = tmp_path / "chat.json"
    parts = [{"type": "image", "path": str(picture)}, part, {"type": "text", "text": "Why?"}]
    chat.write_text(json.dumps([{"role": "user", "content": parts}]))
    result = llava("ask", "--conversation", chat, "-m", tiny, "--json")
    assert result.code == 3
    assert result.err.count("\n") == 1
    assert message in result.err
    json.dumps(json.loads(result.out), ensure_ascii=False).encode()


def test_a_chat_says_so_and_goes_on(as_program_with, picture, tiny):
    lines = [b"Wh\xff?", b"/system \xff", b"/add \xff.mp4", b"Why?", b"\xff\xfe", b"/stats"]
    done = as_program_with(
        {b"PYTHONIOENCODING": b"utf-8:strict"}, "chat", picture, "-m", tiny, "--max-new-tokens", "3",
        stdin=None, input=b"\n".join(lines) + b"\n",
    )  # fmt: skip
    assert done.returncode == 2  # of the first that failed
    said = done.stderr.decode()
    assert said.count(f"the question {NO_TEXT}") == 2
    assert said.count(f"the system prompt {NO_TEXT}") == 1
    assert said.count("no such file") == 1
    assert done.stdout.decode().splitlines()[-1].split()[0] == "1"  # one turn was answered


def test_a_list_of_names_and_a_list_of_jobs_go_on(as_program_with, picture, tiny, tmp_path):
    """Every text of a list is a job's own matter; whatever it is, the ledger stays JSON in UTF-8."""
    named = str(picture)
    lines = [
        json.dumps({"id": "\ud83d", "media": named, "question": "Why?"}).encode(),
        json.dumps({"id": "note", "media": named, "question": "Why?", "note": {"\ud83d": ["\udcff"]}}).encode(),
        b'{"id": "raw\xff", "media": "%s", "question": "Wh\xff?"}' % os.fsencode(named),
        json.dumps({"id": "good", "media": named, "question": "Why?"}).encode(),
    ]
    ledger = tmp_path / "out.jsonl"
    done = as_program_with(
        {}, "batch", "-", "-m", tiny, "--max-new-tokens", "3", "-o", ledger, stdin=None, input=b"\n".join(lines)
    )
    assert done.returncode == 1, done.stderr
    records = [json.loads(line) for line in ledger.read_text("ascii").splitlines()]
    json.dumps(records, ensure_ascii=False).encode()
    assert {r["id"] for r in records if r["status"] == "ok"} == {"good"}
    assert [r["error"]["code"] for r in records if r["status"] == "error"] == ["job"] * 3
    assert "note" in {r["id"] for r in records}
