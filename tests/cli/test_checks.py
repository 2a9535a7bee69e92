# SPDX-License-Identifier: Apache-2.0
"""What `llava doctor` looks at: a check never fails, it tells what has, and what to do."""

from __future__ import annotations

import sys

from llava_cli.cli import checks


def test_the_hub_is_asked_only_when_told_to(report, monkeypatch):
    import huggingface_hub

    def unreachable(*_, **__):
        raise OSError("no route")

    monkeypatch.setattr(huggingface_hub.HfApi, "model_info", unreachable)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
    code, checks = report("--no-self-test", "--hub")
    assert (code, checks["hub"]["status"]) == (1, "problem")
    assert "no route" in checks["hub"]["detail"]
    assert "HF_ENDPOINT" in checks["hub"]["remedy"]


def test_a_missing_library_is_a_problem_with_a_remedy(llava, report, monkeypatch):
    monkeypatch.setitem(sys.modules, "bitsandbytes", None)
    code, checks = report("--no-self-test")
    assert code == 1
    assert checks["--4bit, --8bit"]["status"] == "problem"
    assert "pip install bitsandbytes" in checks["--4bit, --8bit"]["remedy"]
    text = llava("doctor", "--no-self-test").out
    assert "PROBLEM --4bit" in text
    assert "-> pip install bitsandbytes" in text


def test_nobody_is_promised_a_quick_cpu(monkeypatch, tmp_path):
    monkeypatch.setattr(checks, "Path", lambda *_: tmp_path / "no-driver")
    found = checks._no_gpu(None)
    assert (found.status, "a minute or more" in found.detail) == ("note", True)
    assert "interleave-0.5b" in (found.remedy or "")
