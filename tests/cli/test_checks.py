# SPDX-License-Identifier: Apache-2.0
"""What `llava doctor` looks at: a check never fails, it tells what has, and what to do."""

from __future__ import annotations

import sys


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


def test_what_the_decoding_process_is_held_to(report):
    from llava_cli.media.worker.parent import Worker

    with Worker() as worker:
        held = worker.confinement()
    check = report("--no-self-test")[1]["decoding"]
    assert ("seccomp" in check["detail"].partition("; without ")[0]) is held.seccomp
    assert (f"Landlock {held.landlock}" in check["detail"]) is bool(held.landlock)
    assert (check["status"] == "ok") is bool(held.seccomp and held.landlock and held.no_new_privileges)


def test_a_system_that_confines_nothing_is_noted(report, monkeypatch):
    from llava_cli.media.worker.confinement import Confinement
    from llava_cli.media.worker.parent import Worker

    monkeypatch.setattr(Worker, "confinement", lambda _: Confinement(seccomp=True))
    check = report("--no-self-test")[1]["decoding"]
    assert check["status"] == "note"
    assert check["detail"].endswith("confined by seccomp; without no_new_privs, Landlock")
    assert "Linux" in check["remedy"]


def test_a_decoding_process_that_does_not_start_is_a_problem(report, monkeypatch):
    from llava_cli.media.worker import process

    monkeypatch.setattr(process, "PROGRAM", "raise SystemExit(7)")
    code, checks = report("--no-self-test")
    assert (code, checks["decoding"]["status"]) == (1, "problem")
    assert "exit code 7" in checks["decoding"]["detail"]
