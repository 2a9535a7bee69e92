# SPDX-License-Identifier: Apache-2.0
"""The configuration file: its values by key, and mistakes that name the file and what is meant."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from llava_cli.config import check_variables, config_path, read_config, variable
from llava_cli.errors import UsageError

KNOWN = ("model", "frames", "max-new-tokens", "4bit", "temperature")


@pytest.fixture(autouse=True)
def no_variables(monkeypatch) -> None:
    for name in [name for name in os.environ if name.startswith("LLAVA_")]:
        monkeypatch.delenv(name)


@pytest.fixture
def config(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    (tmp_path / "llava").mkdir()
    return tmp_path / "llava" / "config.toml"


def test_without_a_file_nothing_is_set(config):
    assert config_path() == config
    assert read_config(KNOWN) == {}


def test_values_keep_their_kind(config):
    config.write_text('model = "onevision-7b"\nframes = 4\n4bit = true\ntemperature = 0.5\n')
    assert read_config(KNOWN) == {"model": "onevision-7b", "frames": 4, "4bit": True, "temperature": 0.5}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"modle = 1", "unknown key 'modle'; did you mean 'model'?"),
        (b"max_new_tokens = 1", "did you mean 'max-new-tokens'?"),
        (b"colour = 1", "unknown key 'colour'; known keys: 4bit, frames, max-new-tokens, model, temperature"),
        (b"frames = [4]", "frames: must be a string, a number, true or false"),
        (b"frames = ", "is not valid TOML"),
        (b'model = "\xff"', "is not valid TOML"),
    ],
)
def test_a_mistake_names_the_file(config, content, message):
    config.write_bytes(content)
    with pytest.raises(UsageError) as raised:
        read_config(KNOWN)
    assert str(raised.value).startswith(f"{config}: ")
    assert message in str(raised.value)


def test_a_file_that_cannot_be_read(config):
    config.mkdir()
    with pytest.raises(UsageError, match="cannot be read: Is a directory"):
        read_config(KNOWN)


def test_a_variable_is_its_key_in_capitals():
    assert variable("max-new-tokens") == "LLAVA_MAX_NEW_TOKENS"
    assert variable("4bit") == "LLAVA_4BIT"


def test_a_variable_that_sets_nothing_is_told_like_a_key(monkeypatch):
    monkeypatch.setenv("LLAVA_MAX_NEW_TOKENS", "5")
    check_variables(KNOWN)
    monkeypatch.setenv("LLAVA_FRAME", "5")
    with pytest.raises(UsageError, match="unknown variable LLAVA_FRAME; did you mean 'LLAVA_FRAMES'"):
        check_variables(KNOWN)
    monkeypatch.delenv("LLAVA_FRAME")
    monkeypatch.setenv("LLAVA_COLOUR", "red")
    with pytest.raises(UsageError, match="unknown variable LLAVA_COLOUR; known variables: LLAVA_4BIT, LLAVA_FRAMES"):
        check_variables(KNOWN)
