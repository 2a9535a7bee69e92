# SPDX-License-Identifier: Apache-2.0
"""`--json`: a failure is a record too, whenever it comes; what stderr and the exit code say is not changed by that."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from llava_cli.cli.command import App
from llava_cli.cli.options import Json
from llava_cli.errors import InputError

ASKED = ["question", "system", "messages", "template_sha256", "choice", "fit", "raw", "generation"]
KEYS = ["schema_version", "id", "status", *ASKED, "error", "model", "media", "versions"]


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    """A folder to stand in, with settings of its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    (tmp_path / "config" / "llava").mkdir(parents=True)
    (tmp_path / "broken.json").write_text("{")
    return tmp_path


@pytest.mark.parametrize(
    ("arguments", "code", "name", "message"),
    [
        (["ask", "a.mp4", "Why?", "--4bit", "--8bit"], 2, "usage", "cannot be used together"),
        (["ask", "a.mp4", "Why?", "--frames", "many"], 2, "usage", "must be a whole number"),
        (["ask", "a.mp4", "Why?", "--start", "soon"], 2, "usage", "is not a time"),
        (["ask", "a.mp4", "Why?", "--nope"], 2, "usage", "no such option: --nope"),
        (["ask"], 2, "usage", "a video or an image is missing"),
        (["ask", "a.mp4"], 2, "usage", "is missing"),
        (["ask", "--conversation", "broken.json"], 3, "input", "broken.json"),
        (["ask", "--conversation", "none.json"], 3, "input", "none.json"),
        (["frames"], 2, "usage", "MEDIA... is missing"),
        (["frames", "-", "-"], 2, "usage", "only once"),
        (["frames", "a.mp4", "-m", "no-such-checkpoint"], 4, "model", "no-such-checkpoint"),
        (["models", "--nope"], 2, "usage", "no such option: --nope"),
        (["models", "show"], 2, "usage", "NAME is missing"),
        (["doctor", "extra"], 2, "usage", "extra"),
    ],
)
def test_a_failure_before_the_first_step_is_a_record_too(llava, folder, arguments, code, name, message):
    plain, recorded = llava(*arguments), llava(*arguments, "--json")
    assert (plain.code, plain.out) == (code, "")
    assert (recorded.code, recorded.err) == (code, plain.err)
    record = failure(recorded.out)
    assert message in record["error"]["message"]
    assert record["error"]["message"] in " ".join(recorded.err.split())
    assert record["error"]["code"] == name
    assert [record[key] for key in ("id", *ASKED, "media")] == [None] * (len(ASKED) + 1) + [[]]
    named = None if "-m" not in arguments else arguments[-1]
    assert (record["model"] or {}).get("checkpoint") == named


def failure(out: str) -> dict:
    assert out.count("\n") == 1
    record = json.loads(out)
    assert list(record) == KEYS
    assert (record["schema_version"], record["status"]) == (1, "error")
    return record


def test_an_option_without_its_value(llava):
    assert (
        "requires an argument" in failure(llava("ask", "a.mp4", "Why?", "--json", "--frames").out)["error"]["message"]
    )


@pytest.mark.parametrize(("content", "message"), [("modle = 1", "did you mean"), ("frames = 0", "from 1 to 4096")])
def test_settings_that_make_no_sense(llava, folder, content, message):
    (folder / "config" / "llava" / "config.toml").write_text(content)
    result = llava("ask", "a.mp4", "Why?", "--json")
    assert result.code == 2
    assert message in failure(result.out)["error"]["message"]


def test_a_variable_that_makes_no_sense(llava, monkeypatch):
    monkeypatch.setenv("LLAVA_4BIT", "maybe")
    assert "set by LLAVA_4BIT" in failure(llava("ask", "a.mp4", "Why?", "--json").out)["error"]["message"]


def test_what_is_known_of_the_question_is_kept(llava, tiny, folder):
    record = failure(llava("ask", "none.mp4", "Why?", "-m", tiny, "--max-new-tokens", "7", "--json").out)
    assert (record["question"], record["media"]) == ("Why?", [{"path": "none.mp4"}])
    assert record["generation"]["max_new_tokens"] == 7
    assert (record["model"]["checkpoint"], record["model"]["family"]) == (str(tiny), "llava-next-video")
    assert record["id"]
    unknown = failure(llava("ask", "none.mp4", "Why?", "-m", "no-such-checkpoint", "--system", "Hi", "--json").out)
    assert (unknown["model"]["checkpoint"], unknown["system"]) == ("no-such-checkpoint", "Hi")


@pytest.mark.parametrize("arguments", [["ask", "--", "--json"], ["demo", "--json"], ["batch", "--json"]])
def test_only_commands_with_the_option_print_a_record_and_only_if_it_was_given(llava, arguments):
    result = llava(*arguments)
    assert (result.code, result.out) == (2, "")


@pytest.mark.parametrize("recorded", [False, True])
def test_a_failure_gets_one_record_at_most(capfd, recorded):
    app = App(add_completion=False, invoke_without_command=True)

    @app.callback()
    def group(json: Json = False) -> None: ...

    @app.command()
    def fail(json: Json = False) -> None:
        error = InputError("a.mp4: is empty")
        error.recorded = recorded
        raise error

    for arguments in (["fail", "--json"], ["--json", "fail"], ["--json", "fail", "--json"]):
        with pytest.raises(InputError):
            app(arguments, prog_name="llava")
        out = capfd.readouterr().out
        assert out == "" if recorded else failure(out)["error"] == {"code": "input", "message": "a.mp4: is empty"}


@pytest.mark.parametrize("stdout", ["/dev/full", "closed"])
def test_a_failure_is_told_where_stdout_takes_nothing(stdout):
    end = ">&-" if stdout == "closed" else f">{stdout}"
    done = subprocess.run(
        ["sh", "-c", f'"$1" -m llava_cli frames --json {end}', "sh", sys.executable],
        stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True,
    )  # fmt: skip
    assert done.returncode == 2
    assert "MEDIA... is missing" in done.stderr
