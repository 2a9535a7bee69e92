# SPDX-License-Identifier: Apache-2.0
import json
import os
import shutil
import tempfile
from pathlib import Path

import pytest

from llava_cli.engine.warm.manage import stop, workers


@pytest.fixture
def runtime(monkeypatch):
    folder = Path(tempfile.mkdtemp(prefix="llava-"))
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(folder))
    yield folder
    for worker in workers():
        stop(worker)
    shutil.rmtree(folder)


def _same_but_for_time(record, other):
    """What both say, but for how long it took and where it was loaded."""

    def known(one):
        return {key: value for key, value in one.items() if key not in ("timing", "model")}

    return known(record) == known(other)


def test_keep_answers_alike_and_leaves_a_worker_for_every_command(llava, runtime, files, tmp_path, monkeypatch):
    clip = files / "h264.mp4"
    asked = ("ask", clip, "What moves?", "--model", "demo", "--json")
    plain = json.loads(llava(*asked).out)
    assert llava("worker", "list").out == "no worker is running; --keep starts one\n"
    for _ in range(2):
        answered = llava(*asked, "--keep", "5m")
        assert answered.code == 0
        assert answered.err == ""
        record = json.loads(answered.out)
        assert _same_but_for_time(record, plain)
        assert record["id"] == plain["id"]
        assert record["model"] == plain["model"] | {"worker": True}
    (known,) = map(json.loads, llava("worker", "list", "--json").out.splitlines())
    assert known["checkpoint"] == "demo"
    assert known["keep_s"] == 300
    assert known["process"] != os.getpid()

    monkeypatch.setenv("LLAVA_KEEP", "2m")
    listed = llava("caption", clip, "--model", "demo", "-o", tmp_path / "captions.jsonl")
    assert listed.code == 0
    captioned = json.loads((tmp_path / "captions.jsonl").read_text())
    assert captioned["model"]["worker"] is True
    assert captioned["answer"]
    lines = llava("worker", "list").out.splitlines()
    assert len(lines) == 2
    assert "demo" in lines[1]
    assert str(known["process"]) in lines[1]
    assert "120 s" in lines[1]

    assert llava("worker", "stop", "no-such").code == 2
    assert llava("worker", "stop", known["name"]).out == f"{known['name']}: stopped\n"
    assert llava("worker", "list", "--json").out == ""
    assert llava("worker", "stop").out == ""


def test_keep_takes_a_time(llava, files):
    bad = llava("ask", files / "h264.mp4", "What?", "--model", "demo", "--keep", "soon")
    assert bad.code == 2
    assert "--keep" in bad.err
    assert "5m" in bad.err
