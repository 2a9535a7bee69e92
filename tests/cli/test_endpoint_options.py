# SPDX-License-Identifier: Apache-2.0
"""--endpoint: the commands, with a server that nobody here wrote, and with one that has faults."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from cli.programs import started
from engine.remote import fault_server as faults
from engine.remote.fault_server import Server, serving
from serving import TransformersServer

from llava_cli.errors import ExitCode


@pytest.fixture
def server() -> Iterator[Server]:
    with serving() as site:
        yield site


@pytest.fixture(autouse=True)
def no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)


@pytest.fixture
def clip(rendered: Callable[[str], Path]) -> Path:
    return rendered("h264")


def at(server: Server | TransformersServer) -> list[str]:
    name = server.model if isinstance(server, TransformersServer) else "tiny"
    return ["--endpoint", server.url, "-m", name, "--max-new-tokens", "8"]


@pytest.fixture
def asked(llava: Callable[..., Any]) -> Callable[..., dict[str, Any]]:
    """A record of `llava ask`."""

    def ask(*arguments: object) -> dict[str, Any]:
        result = llava("ask", *arguments, "--json")
        assert result.code == 0, result.err
        return json.loads(result.out)

    return ask


# Against `transformers serve`.


@pytest.mark.parametrize("media", [["h264"], ["still0.png"], ["h264", "still0.png", "still1.png"]])
def test_a_server_answers_as_the_checkpoint_does_here(transformers_server, files, asked, media):
    """With the same pixels to the byte, greedy, in float32: texts and counts are the same."""
    paths = [next(files.glob(f"{name}*")) for name in media]
    there = asked(*paths, "What happens?", "-n", "4", *at(transformers_server), "--family", transformers_server.model)
    here = asked(
        *paths, "What happens?", "-n", "4", "-m", transformers_server.model, "--max-new-tokens", "8", "--dtype",
        "float32",
    )  # fmt: skip
    for key in ("answer", "finish_reason", "usage", "media", "generation", "question"):
        assert there[key] == here[key], key
    assert there["warnings"] == here["warnings"]
    assert there["model"] == {
        "checkpoint": transformers_server.model, "revision": None, "family": "llava-interleave", "dtype": None,
        "quantization": None, "device": None, "attention": None, "dummy": False, "rope_scaling": None,
        "endpoint": transformers_server.url, "server": "uvicorn",
        "sent": "images (PNG)" if "h264" in media else "auto (PNG)", "template": "server",
    }  # fmt: skip
    assert there["id"] != here["id"]


def test_sampled_answers_repeat_by_their_seed(transformers_server, files, asked):
    options = [files / "still0.png", "What?", *at(transformers_server), "--temperature", "3"]
    texts = [asked(*options, "--seed", seed)["answer"] for seed in ("1", "1", "2")]
    assert texts[0] == texts[1] != texts[2]


def test_a_conversation_with_a_system_prompt(transformers_server, clip, llava, monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.StringIO("What?\nWhy?\n/frames\n/stats\n"))
    options = [*at(transformers_server), "--system", "Be brief.", "-n", "2", "--json"]
    result = llava("chat", clip, *options)
    assert result.code == 0, result.err
    first, second = map(json.loads, result.out.splitlines())
    assert first["usage"]["visual_tokens"] == second["usage"]["visual_tokens"] == 2 * 16
    assert second["usage"]["prompt_tokens"] > first["usage"]["prompt_tokens"]
    assert second["messages"][1] == {"role": "assistant", "content": [{"type": "text", "text": first["answer"]}]}
    assert "2 frames" in result.err
    assert "visual token" not in result.err


def test_a_list_is_answered_as_one_by_one_and_goes_on_where_it_was(transformers_server, files, llava, asked, tmp_path):
    ledger = tmp_path / "answers.jsonl"
    media = [files / name for name in ("still0.png", "still1.png", "empty.mp4")] + list(files.glob("vp9*"))
    options = [*at(transformers_server), "-n", "3", "--concurrency", "4"]
    for run in range(2):
        result = llava("caption", *media, "-p", "What?", "-p", "Why?", *options, "-o", ledger)
        assert result.code == ExitCode.SOME_FAILED
        assert ("6 done, 2 failed" if run == 0 else "0 done, 0 failed, 8 skipped") in result.err
    records = [json.loads(line) for line in ledger.read_text().splitlines()]
    assert [record["status"] for record in records].count("ok") == 6
    for record in records:
        if record["status"] == "ok":
            alone = asked(record["media"][0]["path"], record["question"], *options[:-2])
            assert (alone["answer"], alone["usage"]) == (record["answer"], record["usage"])


def test_file_and_frames_that_this_server_cannot_take_are_errors(transformers_server, clip, llava):
    for way in ("file", "frames"):
        result = llava("ask", clip, "Why?", *at(transformers_server), "--send", way, "--retries", "0")
        assert (result.code, result.out) == (ExitCode.MODEL, "")
        assert result.err.count("\n") == 1
        assert transformers_server.url in result.err


# Against a server with faults.


def test_the_record_says_how_frames_were_sent(server, clip, asked):
    record = asked(clip, "How many?", *at(server), "-n", "5", "--jpeg", "90", "--times")
    assert record["answer"] == "5 pictures"
    assert (record["usage"]["visual_tokens"], record["usage"]["completion_tokens"]) == (80, 2)
    assert record["model"]["sent"] == "frames (JPEG 90, with times)"
    assert record["model"]["server"] == "vllm, faulty/1.0"
    assert "The frames of the video are at 0:00.000" in str(server.asked[0]["messages"])


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        (faults.html, "its answer is no stream but text/html"),
        (faults.cut, "the answer broke off"),
        (faults.fails, "fails (HTTP 500): oops"),
        (faults.drips_events, "no whole answer within 0.5 seconds"),
        (faults.long_line, "longer than 8 tokens can be"),
    ],
)
def test_a_failure_is_one_line_and_exit_code_4(server, clip, llava, fault, message):
    server.faults = [fault] * 2
    result = llava("ask", clip, "Why?", *at(server), "--retries", "0", "--endpoint-timeout", "0.5", "-q", "--json")
    assert result.code == ExitCode.MODEL
    assert message in result.err
    assert result.err.count("\n") == 1
    record = json.loads(result.out)
    assert record["error"]["code"] == "server"
    assert record["model"]["endpoint"] == server.url


def test_an_answer_without_the_media_is_none(server, clip, llava):
    server.sees = {"image"}
    result = llava("ask", clip, "Why?", *at(server), "--send", "frames", "--json")
    assert result.code == ExitCode.MODEL
    assert json.loads(result.out)["error"]["code"] == "unseen"


def test_nobody_there_is_exit_code_4_and_one_line(llava, clip):
    result = llava("ask", clip, "Why?", "--endpoint", "http://127.0.0.1:9/v1", "-m", "x", "--retries", "0", "--json")
    assert result.code == ExitCode.MODEL
    assert result.err.startswith("llava: http://127.0.0.1:9/v1: cannot be reached: ")
    assert json.loads(result.out)["error"]["code"] == "unreachable"


def test_a_list_has_an_error_record_for_what_is_refused_and_warnings_for_what_is_cut(server, clip, llava, tmp_path):
    server.rejects = {"media_io_kwargs": 400}
    refuse = lambda handler: handler.say({"error": {"message": "too rude"}}, 400)  # noqa: E731
    server.faults = [refuse]
    jobs = tmp_path / "jobs.jsonl"
    jobs.write_text("".join(json.dumps({"media": str(clip), "question": f"{n}?", "id": n}) + "\n" for n in range(5)))
    result = llava("batch", jobs, *at(server), "-n", "40", "--concurrency", "1", "-o", tmp_path / "out.jsonl")
    assert result.code == ExitCode.SOME_FAILED, result.err
    records = {record["id"]: record for record in map(json.loads, (tmp_path / "out.jsonl").read_text().splitlines())}
    assert sorted(records) == [0, 1, 2, 3, 4]
    failed = [record for record in records.values() if record["status"] == "error"]
    assert [record["error"]["code"] for record in failed] == ["refused"]
    assert all("has dropped some" in str(record["warnings"]) for record in records.values() if record not in failed)


def test_a_server_that_goes_away_ends_a_list_and_what_was_answered_stays(server, clip, llava, tmp_path):
    jobs, ledger = tmp_path / "jobs.jsonl", tmp_path / "out.jsonl"
    jobs.write_text("".join(json.dumps({"media": str(clip), "question": f"{n}?", "id": n}) + "\n" for n in range(12)))
    answer = lambda handler: handler.answer()  # noqa: E731
    server.faults = [answer] * 5 + [faults.leaves]
    options = [*at(server), "-n", "2", "--concurrency", "1", "--retries", "1"]
    first = llava("batch", jobs, *options, "-o", ledger)
    assert server.gone
    assert first.code == ExitCode.MODEL
    assert "cannot be reached" in first.err
    done = [json.loads(line) for line in ledger.read_text().splitlines()]
    assert {record["status"] for record in done} == {"ok"}
    assert 5 <= len(done) < 12


def test_a_done_list_asks_nobody(server, clip, llava, tmp_path):
    options = ["caption", clip, *at(server), "-o", tmp_path / "out.jsonl"]
    assert llava(*options).code == 0
    server.headers.clear()
    assert llava(*options).code == 0
    assert server.headers == []


@pytest.mark.slow
def test_ctrl_c_cancels_the_request(server, clip):
    server.faults = [faults.drips_events]
    program = started("ask", clip, "Why?", *at(server), stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    for _ in range(600):
        if server.asked:
            break
        threading.Event().wait(0.05)
    program.send_signal(signal.SIGINT)
    out, err = program.communicate(timeout=20)
    assert (program.returncode, out) == (ExitCode.INTERRUPTED, b"")
    assert b"Traceback" not in err
    assert server.given_up.wait(5)


def test_a_key_is_in_no_record_and_no_log(server, clip, llava, monkeypatch, tmp_path):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-very-secret")
    server.faults = [faults.repeats_key]
    result = llava("ask", clip, "Why?", *at(server), "-v", "-o", tmp_path / "record.json", "--json")
    assert result.code == ExitCode.MODEL
    assert server.headers[-1]["authorization"] == "Bearer sk-very-secret"
    assert "sk-very-secret" not in result.out + result.err + (tmp_path / "record.json").read_text()


# Options.


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--dry-run"], "--dry-run cannot be used with --endpoint: only the server knows"),
        (["--raw"], "--raw cannot be used with an endpoint: its server makes the prompt"),
        (["--template", "{{ messages }}"], "--template cannot be used with an endpoint"),
        (["--prompt-ids", "--json"], "--prompt-ids cannot be used with an endpoint"),
        (["--fit"], "--fit cannot be used with an endpoint"),
        (["--4bit"], "--4bit cannot be used with --endpoint: the server decides it when it starts"),
        (["--device", "cpu"], "--device cannot be used with --endpoint"),
        (["--device-map", "cpu"], "--device-map cannot be used with --endpoint"),
        (["--dtype", "float32"], "--dtype cannot be used with --endpoint"),
        (["--attention", "eager"], "--attention cannot be used with --endpoint"),
        (["--keep", "5m"], "--keep cannot be used with --endpoint"),
        (["--revision", "main"], "--revision cannot be used with --endpoint"),
        (["--rope-scaling", "linear:2"], "--rope-scaling cannot be used with --endpoint"),
        (["--dummy-weights"], "--dummy-weights cannot be used with --endpoint"),
        (["--send", "tape"], "--send: must be auto, frames, images or file"),
        (["--jpeg", "0"], "--jpeg: must be a whole number from 1 to 100"),
    ],
)
def test_what_cannot_be_used_with_a_server_is_exit_code_2_before_anything_is_read(llava, options, words):
    result = llava("ask", "none.mp4", "Why?", "--endpoint", "http://127.0.0.1:9/v1", "-m", "x", *options)
    assert result.code == ExitCode.USAGE
    assert result.err.startswith(f"llava: {words}")
    assert result.err.count("\n") == 1


@pytest.mark.parametrize(
    "option", [["--send", "frames"], ["--family", "x"], ["--jpeg", "9"], ["--times"], ["--endpoint-timeout", "5"],
               ["--retries", "0"], ["--concurrency", "2"]],
)  # fmt: skip
def test_what_is_about_a_server_needs_one(llava, option):
    result = llava("caption", "none.mp4", *option)
    assert (result.code, result.err) == (ExitCode.USAGE, f"llava: {option[0]} needs --endpoint\n")


def test_a_password_in_an_address_is_not_told(llava):
    result = llava("ask", "a.mp4", "Why?", "--endpoint", "http://me:secret@127.0.0.1:9/v1", "--json")
    assert result.code == ExitCode.USAGE
    assert "secret" not in result.out + result.err
    assert "OPENAI_API_KEY" in result.err


def test_an_endpoint_s_work_is_other_work(server, clip, llava, tmp_path):
    ledger = tmp_path / "out.jsonl"
    ways = [[], ["--send", "images"], ["--jpeg", "80"], ["--times"], ["--family", "interleave-0.5b"]]
    for way in ways:
        assert llava("caption", clip, *at(server), *way, "-o", ledger).code == 0
    os.environ.pop("LLAVA_MODEL", None)
    assert llava("caption", clip, "-m", "demo", "-o", ledger).code == 0
    records = [json.loads(line) for line in ledger.read_text().splitlines()]
    assert len({record["key"] for record in records}) == len(ways) + 1 == len(records)
