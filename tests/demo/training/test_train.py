# SPDX-License-Identifier: Apache-2.0
"""All stages one after the other: the same checkpoint again, and nothing half done."""

from functools import partial
from pathlib import Path

import pytest
import torch

from llava_cli.demo.training.tokenizer import build_tokenizer
from llava_cli.demo.training.train import train
from llava_cli.errors import UsageError


def test_training_writes_the_same_checkpoint_again_and_tells_of_every_step(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    told: list[tuple[str, int, int]] = []
    monkeypatch.setattr("llava_cli.demo.training.train.build_tokenizer", partial(build_tokenizer, clips=500))
    threads = torch.get_num_threads()
    for name in ("one", "two"):
        told.clear()
        train(
            tmp_path / name,
            report=lambda stage, step, total, _: told.append((stage, step, total)),
            see_steps=2,
            follow_steps=1,
            answer_steps=1,
            polish_steps=1,
        )
    assert told == [("see", 1, 2), ("see", 2, 2), ("follow", 1, 1), ("answer", 1, 1), ("polish", 1, 1)]
    assert torch.get_num_threads() == threads
    one, two = ({path.name: path.read_bytes() for path in (tmp_path / name).iterdir()} for name in ("one", "two"))
    assert set(one) == {
        "config.json", "generation_config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json",
        "chat_template.jinja", "preprocessor_config.json", "video_preprocessor_config.json", "processor_config.json",
    }  # fmt: skip
    assert one == two


def test_a_torch_without_the_optimizer_is_told_before_anything_is_made(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delattr(torch.optim, "Muon")
    with pytest.raises(UsageError, match=r"needs torch 2\.9 or newer.*this is torch"):
        train(tmp_path / "demo")
    assert not (tmp_path / "demo").exists()
