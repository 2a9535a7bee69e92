# SPDX-License-Identifier: Apache-2.0
"""What a user sees of checkpoints that mean harm: exit code 4, one line, and nothing of theirs is run."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

ENDLESS = "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}"


def pipe(folder: Path) -> None:
    (folder / "generation_config.json").unlink()
    os.mkfifo(folder / "generation_config.json")


def pickle(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    torch.save({}, folder / "weights.bin")
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": {"a": "weights.bin"}}))


def no_numbers(folder: Path) -> None:
    weights = load_file(folder / "model.safetensors")
    next(weight for name, weight in weights.items() if "lm_head" in name).fill_(torch.nan)
    save_file(weights, folder / "model.safetensors", {"format": "pt"})


def wrong_shapes(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    config["text_config"]["intermediate_size"] = 100
    (folder / "config.json").write_text(json.dumps(config))


@pytest.fixture
def spoilt(tiny: Path, tmp_path: Path) -> Callable[[Callable[[Path], None]], Path]:
    def copy(spoil: Callable[[Path], None]) -> Path:
        folder = Path(shutil.copytree(tiny, tmp_path / "checkpoint"))
        spoil(folder)
        return folder

    return copy


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (pipe, "generation_config.json: is no plain file"),
        (pickle, "only *.safetensors files of the same folder are read"),
        (no_numbers, "gives no answer"),
        (wrong_shapes, "of the wrong shape, e.g. "),
    ],
)
def test_it_is_exit_code_4_and_one_line(as_program, picture, spoilt, spoil, told):
    done = as_program("ask", picture, "Why?", "-m", spoilt(spoil), "-q")
    assert (done.returncode, done.stdout) == (4, b"")
    assert done.stderr.decode().count("\n") == 1
    assert told in done.stderr.decode()


def test_a_template_without_end_is_one_line_and_another_can_be_used(llava, picture, tiny, spoilt, monkeypatch):
    monkeypatch.setattr("llava_cli.models.rendering.parent.SECONDS", 2.0)
    folder = spoilt(lambda own: (own / "chat_template.json").write_text(json.dumps({"chat_template": ENDLESS})))
    run = ("ask", picture, "Why?", "-m", folder, "--max-new-tokens", "2", "-q")
    result = llava(*run)
    assert (result.code, result.out) == (4, "")
    assert result.err == (
        f"llava: {folder}: its chat template takes more than 2 seconds: it is damaged, or hostile; --template has "
        "another used\n"
    )
    assert llava(*run, "--template", tiny / "chat_template.json").code == 0


@pytest.mark.parametrize("template", [ENDLESS, "{{ 'a' * 10000000000 }}"])
def test_the_user_s_own_template_is_bounded_too(llava, picture, tiny, template, monkeypatch):
    monkeypatch.setattr("llava_cli.models.rendering.parent.SECONDS", 2.0)
    result = llava("ask", picture, "Why?", "-m", tiny, "--template", template, "-q")
    assert (result.code, result.out) == (2, "")
    assert "takes more than 2 seconds" in result.err or "takes too much memory" in result.err
    assert result.err.count("\n") == 1


def test_in_a_list_each_question_is_told(llava, picture, spoilt, tmp_path):
    result = llava("caption", picture, picture, "-m", spoilt(no_numbers), "-o", tmp_path / "ledger.jsonl", "-q")
    records = [json.loads(line) for line in (tmp_path / "ledger.jsonl").read_text().splitlines()]
    assert result.code == 1
    assert records
    assert {record["error"]["code"] for record in records} == {"senseless"}
