# SPDX-License-Identifier: Apache-2.0
"""`llava chat`: a conversation whose media are seen once, at a terminal and through a pipe."""

from __future__ import annotations

import io
import json
import os
import pty
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest


@pytest.fixture
def talk(llava, monkeypatch, rendered, tiny):
    """Chat about a clip, these lines being what is piped in."""

    def run(*lines: str, options: tuple[str | Path, ...] = ()):
        monkeypatch.setattr(sys, "stdin", io.StringIO("".join(f"{line}\n" for line in lines)))
        return llava("chat", rendered("h264"), "-m", tiny, "-n", "8", "--max-new-tokens", "6", *options)

    return run


def turns(result) -> list[list[str]]:
    """The rows of /stats: turn, prompt, cached, run, answer tokens."""
    lines = result.out.splitlines()
    start = next(i for i, line in enumerate(lines) if line.split()[:2] == ["turn", "prompt"])
    return [line.split()[:5] for line in lines[start + 1 :]]


def test_each_turn_costs_its_own_tokens_only(talk):
    first, second, third = turns(talk("Why?", "How many shapes are there?", "And then?", "/stats"))
    assert first[2] == "0"
    for row in (second, third):
        prompt, cached, run = map(int, row[1:4])
        assert prompt == cached + run
        assert cached > 32  # the video's tokens
        assert run < 40


def test_the_video_is_encoded_once(talk, monkeypatch):
    from llava_cli.models.llava_next_video import LlavaNextVideo

    encoded = []
    encode = LlavaNextVideo.encode
    monkeypatch.setattr(LlavaNextVideo, "encode", lambda *a: encoded.append(a[-1].info.path) or encode(*a))
    assert talk("Why?", "How?", "/system Be brief.", "Who?").code == 0
    assert len(encoded) == 1


def test_answers_are_those_of_a_conversation_file(talk, llava, tiny, rendered, tmp_path):
    saved = tmp_path / "talk.json"
    result = talk("Why?", "How?", f"/save {saved}", options=("--system", "Be brief."))
    assert result.code == 0, result.err
    messages = json.loads(saved.read_text())
    assert [message["role"] for message in messages] == ["system", "user", "assistant", "user", "assistant"]
    for end, answer in ((2, messages[2]), (4, messages[4])):
        asked = tmp_path / "asked.json"
        asked.write_text(json.dumps(messages[:end]))
        again = llava("ask", "--conversation", asked, "-m", tiny, "-n", "8", "--max-new-tokens", "6", "--json")
        assert json.loads(again.out)["answer"].strip() == answer["content"][0]["text"].strip()
    followed = llava("ask", "--conversation", saved, "Go on", "-m", tiny, "-n", "8", "--max-new-tokens", "4", "--json")
    assert json.loads(followed.out)["status"] == "ok"


def test_undo_takes_back_and_asks_the_same_again(talk, tmp_path):
    saved = tmp_path / "talk.json"
    assert talk("Why?", "How?", "/undo", "How?", f"/save {saved}").code == 0
    texts = [part.get("text") for message in json.loads(saved.read_text()) for part in message["content"]]
    assert texts.count("How?") == 1
    assert "nothing to undo" in talk("/undo").err


def test_what_a_command_has_done_is_said(talk, rendered):
    other = rendered("vp9")
    result = talk("Why?", "/system Be brief.", "/system", "/undo", f"/add {other}", "/drop", f"/drop {other}", "Who?")
    for words in (
        "the system prompt is: Be brief.",
        "there is no system prompt now",
        "removed: Why?",
        f"shown with your next question: {rendered('h264')}",
        f"{other}: is not shown",
        f"{other}: does not wait",
    ):
        assert words in result.err
    assert result.code == 2  # the second /drop


@pytest.mark.parametrize("word", ["exit", "quit", "/quit", "/exit"])
def test_words_that_leave(talk, word):
    result = talk(word, "/undo")
    assert (result.code, result.out) == (0, "")
    assert "nothing to undo" not in result.err


def test_a_record_for_each_turn(talk, rendered):
    result = talk("Why?", "/stats", "/nope", "/system Be brief.", "How?", "/frames", options=("--json",))
    first, mistake, second = map(json.loads, result.out.splitlines())
    assert [one["status"] for one in (first, mistake, second)] == ["ok", "error", "ok"]
    assert (first["system"], first["messages"]) == (None, [])
    assert (second["question"], second["system"]) == ("How?", "Be brief.")
    assert [message["role"] for message in second["messages"]] == ["user", "assistant"]
    assert second["messages"][0]["content"][0] == {"type": "video", "path": str(rendered("h264"))}
    assert (mistake["error"]["code"], mistake["question"]) == ("usage", None)
    assert first["id"] != second["id"]
    assert "turn" in result.err  # /stats is for people
    assert "8 frames" in result.err


def test_answers_chosen_at_the_prompt(talk):
    result = talk("/choices a baby,no", "Why?", "/choices", "Why?", "/choices yes", "/undo")
    lines = result.out.splitlines()
    assert lines[0] in ("a baby", "no")
    assert "llava: answers are chosen from: a baby,no\n" in result.err
    assert f"llava: {lines[0]} " in result.err.replace("llava: a baby ", f"llava: {lines[0]} ")
    assert "answers are no longer chosen\n" in result.err
    assert "choices are at least two" in result.err
    assert result.code == 2  # that of the first mistake


def test_add_frames_and_mistakes(talk, rendered, tmp_path):
    sheet = tmp_path / "a sheet.png"
    result = talk(
        "Why?", f"/add {rendered('h264')}", "And this?", f'/frames "{sheet}"', "/nope", "/add", "/add none.mp4"
    )
    assert sheet.read_bytes().startswith(b"\x89PNG")
    assert result.out.count("8 frames of 56x56, 32 visual tokens") == 2
    for words in ("/nope: no such command", "a name is missing", "none.mp4: no such file"):
        assert words in result.err
    assert result.code == 2  # of the first that failed


def test_questions_and_media_cannot_both_be_standard_input(llava, tiny):
    assert llava("chat", "-", "-m", tiny).code == 2


class Terminal:
    """A program at a terminal of its own."""

    def __init__(self, *arguments: str | Path, **environment: str) -> None:
        self.master, slave = pty.openpty()
        command = [sys.executable, "-m", "llava_cli", *map(str, arguments)]
        self.process = subprocess.Popen(
            command, stdin=slave, stdout=slave, stderr=slave, start_new_session=True,
            env=os.environ | {"TERM": "dumb"} | environment,
        )  # fmt: skip
        os.close(slave)
        os.set_blocking(self.master, False)
        self.shown = ""

    def until(self, words: str) -> None:
        for _ in range(1200):
            try:
                self.shown += os.read(self.master, 65536).decode(errors="replace")
            except BlockingIOError:
                pass
            except OSError:
                break
            if words in self.shown:
                return
            time.sleep(0.05)
        raise AssertionError(f"no {words!r} in {self.shown!r}")

    def type(self, text: str) -> None:
        self.shown = ""
        os.write(self.master, text.encode())

    def end(self) -> int:
        code = self.process.wait(30)
        os.close(self.master)
        return code


def test_at_a_terminal(rendered, tiny, tmp_path):
    """Ctrl-C stops an answer and not the program, Ctrl-D leaves, and what was typed is remembered privately."""
    terminal = Terminal(
        "chat", rendered("h264"), "-m", tiny, "-n", "4", "--max-new-tokens", "1900", XDG_STATE_HOME=str(tmp_path)
    )
    terminal.until("> ")
    terminal.type("Why?\n")
    terminal.until("Why?\r\n")
    time.sleep(0.2)
    terminal.process.send_signal(signal.SIGINT)
    terminal.until("> ")
    terminal.type("/stats\n")
    terminal.until("turn")
    terminal.until("> ")
    tokens = [int(line.split()[4]) for line in terminal.shown.splitlines() if line.split()[:1] == ["1"]]
    assert len(tokens) <= 1
    if tokens:
        assert tokens[0] < 1900
    terminal.type("\x04")
    assert terminal.end() == 0
    history = tmp_path / "llava" / "chat-history"
    assert "Why?" in history.read_text()
    assert history.stat().st_mode & 0o777 == 0o600
    assert history.parent.stat().st_mode & 0o777 == 0o700


def test_a_template_of_the_user_s_own_is_for_all_turns(talk, tiny):
    plain = talk("Why?", "And then?")
    given = talk("Why?", "And then?", options=("--template", tiny / "chat_template.json"))
    other = talk("Why?", "And then?", options=("--template", "{% for m in messages %}{% for p in m.content %}"
                                               "{{ p.text or '<video>' }}!{% endfor %}{% endfor %}"))  # fmt: skip
    assert plain.code == given.code == other.code == 0
    assert given.out == plain.out != other.out
