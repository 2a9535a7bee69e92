# SPDX-License-Identifier: Apache-2.0
"""The self-test of `llava doctor`: well where all is well, and it finds what it is for."""

from __future__ import annotations

from dataclasses import replace

import pytest

from llava_cli.cli import selftest
from llava_cli.demo import CHECKPOINT
from llava_cli.engine.local import LocalEngine


def self_test(model: object) -> dict[str, str]:
    return {check.name.removeprefix("self-test: "): check.status for check in selftest.run(str(model))}


def test_the_self_test(tiny):
    assert self_test(tiny) == dict.fromkeys(["PyAV = OpenCV", "answers", "batch = single", "4-bit loads"], "ok")


@pytest.mark.skipif(not (CHECKPOINT / "model.safetensors").exists(), reason="no built-in checkpoint yet")
def test_the_self_test_on_the_built_in_checkpoint():
    assert set(self_test("demo").values()) == {"ok"}


def test_the_self_test_finds_a_batch_that_differs(tiny, monkeypatch):
    answer = LocalEngine.answer

    def wrong(self, asks, *rest, **options):
        answers = answer(self, asks, *rest, **options)
        return answers if len(asks) == 1 else [replace(one, text=one.text + "?") for one in answers]

    monkeypatch.setattr(LocalEngine, "answer", wrong)
    assert self_test(tiny)["batch = single"] == "problem"


def test_the_self_test_finds_decoders_that_differ(tiny, monkeypatch):
    from llava_cli.media import opencv

    read = opencv.read_clip
    monkeypatch.setattr(opencv, "read_clip", lambda *a: replace(read(*a), frames=255 - read(*a).frames))
    assert self_test(tiny)["PyAV = OpenCV"] == "problem"


def test_a_self_test_that_cannot_run_says_so(tmp_path):
    assert self_test(tmp_path)["self-test"] == "problem"
