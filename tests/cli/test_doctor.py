# SPDX-License-Identifier: Apache-2.0
"""`llava doctor`: tells what is there, what is wrong, and what to do; and its self-test finds what it is for."""

from __future__ import annotations

import json
import sys
from dataclasses import replace

import pytest

from llava_cli.cli import selftest
from llava_cli.demo import CHECKPOINT
from llava_cli.engine.local import LocalEngine


def report(llava, *options: str) -> tuple[int, dict]:
    result = llava("doctor", "--json", *options)
    found = json.loads(result.out)
    return result.code, {check["name"]: check for check in found["checks"]}


def test_everything_is_told(llava):
    code, checks = report(llava, "--no-self-test")
    assert code == 0
    assert set(checks) >= {
        "versions",
        "cpu",
        "PyAV",
        "OpenCV",
        "--4bit, --8bit",
        "--attention",
        "cache",
        "configuration",
    }
    assert "h264" in checks["PyAV"]["detail"]
    assert "hub" not in checks  # the network is asked only when the user asks


def test_the_hub_is_asked_only_when_told_to(llava, monkeypatch):
    import huggingface_hub

    def unreachable(*_, **__):
        raise OSError("no route")

    monkeypatch.setattr(huggingface_hub.HfApi, "model_info", unreachable)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
    code, checks = report(llava, "--no-self-test", "--hub")
    assert (code, checks["hub"]["status"]) == (1, "problem")
    assert "no route" in checks["hub"]["detail"]
    assert "HF_ENDPOINT" in checks["hub"]["remedy"]


def test_a_missing_library_is_a_problem_with_a_remedy(llava, monkeypatch):
    monkeypatch.setitem(sys.modules, "bitsandbytes", None)
    code, checks = report(llava, "--no-self-test")
    assert code == 1
    assert checks["--4bit, --8bit"]["status"] == "problem"
    assert "pip install bitsandbytes" in checks["--4bit, --8bit"]["remedy"]
    text = llava("doctor", "--no-self-test").out
    assert "PROBLEM --4bit" in text
    assert "-> pip install bitsandbytes" in text


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
