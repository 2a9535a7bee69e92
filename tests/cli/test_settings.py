# SPDX-License-Identifier: Apache-2.0
"""Settings: flag before variable before file before default, and mistakes named where they are."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import typer

from llava_cli.cli.app import app
from llava_cli.cli.command import all_configurable


@pytest.fixture
def config(tmp_path, monkeypatch) -> Path:
    """The user's configuration file, in a folder of its own."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    path = tmp_path / "config" / "llava" / "config.toml"
    path.parent.mkdir(parents=True)
    return path


def frames_shown(llava, clip, *options) -> int:
    result = llava("frames", clip, "--json", *options)
    assert result.code == 0, result.err
    return len(json.loads(result.out)["frames"])


def test_flag_variable_file_default(llava, rendered, tiny, config, monkeypatch):
    clip = rendered("h264")
    assert frames_shown(llava, clip) == 32
    config.write_text(f'model = "{tiny}"\nframes = 3\n')
    assert frames_shown(llava, clip) == 3
    monkeypatch.setenv("LLAVA_FRAMES", "4")
    assert frames_shown(llava, clip) == 4
    assert frames_shown(llava, clip, "--frames", "5") == 5


def test_a_flag_turns_off_what_the_file_turns_on(llava, rendered, tiny, config):
    config.write_text(f'model = "{tiny}"\nquantize-all = true\n')
    plan = ("ask", rendered("h264"), "Why?", "--dry-run")
    assert "needs --4bit" in llava(*plan).err
    assert llava(*plan, "--no-quantize-all").code == 0


def test_pixels_are_exact_unless_the_user_wants_them_fast(llava, rendered, tiny, config):
    def pixels(*options: str) -> str:
        result = llava("frames", rendered("h264"), "-m", tiny, "-n", "2", "--json", *options)
        return json.loads(result.out)["pixels"]

    assert (pixels(), pixels("--fast-pixels")) == ("exact", "fast")
    config.write_text("fast-pixels = true\n")
    assert (pixels(), pixels("--no-fast-pixels")) == ("fast", "exact")
    config.write_text("exact-pixels = true\n")
    assert "unknown key 'exact-pixels'" in llava("frames", rendered("h264"), "-m", tiny).err


def test_every_shared_option_can_be_set():
    keys = set(all_configurable(typer.main.get_command(app)))
    assert keys >= {
        "model", "rope-scaling", "frames", "fps", "sampling", "fast-pixels", "fit", "system", "max-new-tokens",
        "temperature", "top-p", "seed", "device", "dtype", "attention", "4bit", "8bit", "quantize-all",
    }  # fmt: skip
    assert keys.isdisjoint({"json", "start", "end", "dummy-weights", "dry-run", "output", "help"})
    assert keys.isdisjoint({"raw", "template", "prompt-ids"})


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('modle = "x"', "unknown key 'modle'; did you mean 'model'?"),
        ("max_new_tokens = 5", "did you mean 'max-new-tokens'?"),
        ("[ask]\nframes = 4", "unknown key 'ask'"),
        ("frames = [4]", "frames: must be"),
        ("frames = ", "is not valid TOML"),
        ('frames = "many"', "frames in "),
        ("frames = 0", "frames in "),
        ('dtype = "int3"', "dtype in "),
        ('rope-scaling = "yarn:2"', "rope-scaling in "),
    ],
)
def test_mistakes_in_the_file_name_it(llava, config, rendered, content, message):
    config.write_text(content)
    result = llava("ask", rendered("h264"), "Why?", "--dry-run")
    assert (result.code, result.out) == (2, "")
    assert message in result.err.replace("\n", " ")
    assert str(config) in result.err.replace("\n", "")
    assert llava("ask", "--help").code == 0


def test_mistakes_in_a_variable_name_it(llava, config, rendered, monkeypatch):
    monkeypatch.setenv("LLAVA_MAX_NEW_TOKENS", "few")
    result = llava("ask", rendered("h264"), "Why?")
    assert result.code == 2
    assert "set by LLAVA_MAX_NEW_TOKENS" in result.err


def test_doctor_tells_where_values_come_from(llava, config, monkeypatch):
    config.write_text('model = "onevision-0.5b"\nframes = 4\n')
    monkeypatch.setenv("LLAVA_FRAMES", "5")
    report = json.loads(llava("doctor", "--no-self-test", "--json").out)
    settings = {entry["key"]: (entry["value"], entry["source"]) for entry in report["settings"]}
    assert settings["model"] == ("onevision-0.5b", str(config))
    assert settings["frames"] == ("5", "LLAVA_FRAMES")
    assert settings["dtype"] == ("auto", "default")


def test_doctor_tells_what_is_wrong_with_the_file(llava, config):
    config.write_text("modle = 1")
    result = llava("doctor", "--no-self-test", "--json")
    assert result.code == 1
    (problem,) = [c for c in json.loads(result.out)["checks"] if c["name"] == "configuration"]
    assert problem["status"] == "problem"
    assert "did you mean 'model'?" in problem["detail"]
    assert problem["remedy"]


def test_a_variable_that_sets_nothing_is_a_mistake(llava, config, rendered, monkeypatch):
    monkeypatch.setenv("LLAVA_MODLE", "demo")
    result = llava("ask", rendered("h264"), "Why?")
    assert (result.code, result.out) == (2, "")
    assert result.err == "llava: unknown variable LLAVA_MODLE; did you mean 'LLAVA_MODEL'?\n"
    assert llava("ask", "--help").code == 0
    (problem,) = [
        check
        for check in json.loads(llava("doctor", "--no-self-test", "--json").out)["checks"]
        if check["name"] == "configuration"
    ]
    assert "LLAVA_MODLE" in problem["detail"]
