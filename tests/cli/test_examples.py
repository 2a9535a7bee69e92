# SPDX-License-Identifier: Apache-2.0
"""Every command line of the README and of the man pages that can run offline is run, with the built-in checkpoint."""

from __future__ import annotations

import io
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
import typer
from media.rendering import Spec, render
from PIL import Image

from llava_cli.cli.app import app
from llava_cli.cli.command import walk
from llava_cli.cli.help import examples
from llava_cli.demo import CHECKPOINT
from llava_cli.models.templates import VICUNA

ROOT = Path(__file__).parents[2]
NOT_OFFLINE = {
    "curl": "asks the network",
    "--allow-urls": "asks the network",
    "models pull": "asks the hub",
    "--hub": "asks the hub",
    "pip install": "changes this environment",
    "vllm serve": "needs vLLM",
    "--endpoint": "needs a server; tests/cli/test_endpoint_options.py has some",
    "llava bench": "takes a minute, and is run smaller by its own test",
    "SBATCH": "needs Slurm",
    "pandas": "needs pandas",
    "--gpus all": "needs a GPU",
    "--ray": "needs a cluster",
    "kubectl": "needs a cluster",
}
VIDEOS = ("clip.mp4", "video.mp4", "a.mp4")
IMAGES = ("before.jpg", "after.jpg", "b.jpg")
# The shell's own words, so that such a line is not ours alone.
SHELL = re.compile(r"[|<>;&$*]")

pytestmark = pytest.mark.skipif(not (CHECKPOINT / "model.safetensors").exists(), reason="no built-in checkpoint yet")


def readme_examples() -> list[str]:
    """The command lines of the README's shell blocks; a loop is one of them, and so is a script."""
    found = []
    for block in re.findall(r"^```sh\n(.*?)^```", (ROOT / "README.md").read_text("utf-8"), re.S | re.M):
        if block.startswith("#!"):
            found.append(block)
            continue
        lines: list[str] = []
        for line in block.splitlines():
            lines.append(line)
            text = "\n".join(lines).strip()
            if re.search(r"\bdo$", text, re.M) and not re.search(r"^done", text, re.M):
                continue
            if text.endswith(("|", "\\")):
                continue
            if text and not text.startswith("#"):
                found.append(text)
            lines = []
    return found


def page_examples() -> list[str]:
    return [line for _, command in walk(typer.main.get_command(app)) for line in examples(command)]


EXAMPLES = list(dict.fromkeys([*readme_examples(), *page_examples()]))


def test_there_are_examples():
    assert len(readme_examples()) > 20
    assert any(example.startswith("find") and "\n" in example for example in EXAMPLES)


@pytest.fixture(scope="session")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files that the examples name: two minutes of video, and pictures."""
    folder = tmp_path_factory.mktemp("examples")
    render(Spec(frames=130, rate=Fraction(1)), folder / VIDEOS[0])
    for name in VIDEOS[1:]:
        shutil.copy(folder / VIDEOS[0], folder / name)
    for name in IMAGES:
        Image.linear_gradient("L").resize((90, 60)).convert("RGB").save(folder / name)
    asked = [{"role": "user", "content": [{"type": "video", "path": "clip.mp4"}, {"type": "text", "text": "Why?"}]}]
    (folder / "chat.json").write_text(json.dumps(asked))
    (folder / "mine.jinja").write_text(VICUNA)
    (folder / "question.txt").write_text("What happens?\n")
    schema = {"properties": {"shape": {"const": "red"}}, "required": ["shape"], "additionalProperties": False}
    (folder / "shape.json").write_text(json.dumps({"type": "object", **schema}))
    (folder / "videos.txt").write_text("clip.mp4\n")
    (folder / "videos").mkdir()
    shutil.copy(folder / VIDEOS[0], folder / "videos")
    (folder / "jobs.jsonl").write_text(json.dumps({"id": 1, "media": "clip.mp4", "question": "What happens?"}) + "\n")
    (folder / "list.jsonl").write_text(json.dumps({"id": 1, "file": "clip.mp4"}) + "\n")
    asked = {"media": "clip.mp4", "question": "What happens?", "choices": ["this", "that"], "answer": "A"}
    (folder / "task.jsonl").write_text(json.dumps(asked) + "\n")
    (folder / "json").mkdir()
    bench = {"video": "1.mp4", "question": "Who?", "candidates": ["he", "she"], "answer": "she", "start": 1, "end": 2}
    (folder / "json" / "action_sequence.json").write_text(json.dumps([bench]))
    ego = {"q_uid": "q1", "question": "Why?", **{f"option {n}": f"reason {n}" for n in range(5)}}
    (folder / "questions.json").write_text(json.dumps([ego, ego | {"q_uid": "q2"}]))
    (folder / "subset_answers.json").write_text(json.dumps({"q1": 0}))
    (folder / "jobs.csv").write_text("id,media,question\n1,clip.mp4,What happens?\n")
    (folder / "clip.srt").write_text("1\n00:00:01,000 --> 00:00:05,000\nHello.\n")
    (folder / "clip.ffmetadata").write_text(";FFMETADATA1\n")
    medium = {"path": "clip.mp4", "kind": "video"}
    done = {"schema_version": 1, "id": 1, "key": 64 * "0", "status": "ok", "question": "Why?", "answer": "A. B."}
    (folder / "captions.jsonl").write_text(json.dumps({**done, "media": [medium]}) + "\n")
    program = folder / "bin" / "llava"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nPYTHONPATH="{ROOT}" exec "{sys.executable}" -m llava_cli "$@"\n')
    program.chmod(0o755)
    return folder


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda text: text[:60].replace("\n", " "))
def test_an_example_runs(example: str, files: Path, llava: Callable[..., Any], monkeypatch, tmp_path):
    for words, reason in NOT_OFFLINE.items():
        if words in example and "SLURM_ARRAY_TASK_ID" not in example:
            pytest.skip(reason)
    shutil.copytree(files, tmp_path / "here")
    monkeypatch.chdir(tmp_path / "here")
    if "*.mp4" in example:  # one file goes the way of all, and every file loads the model anew
        for name in VIDEOS[1:]:
            Path(name).unlink()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("LLAVA_MODEL", "demo")
    monkeypatch.setenv("LLAVA_MAX_NEW_TOKENS", "16")
    command = shlex.split(example, comments=True)
    script = example.startswith("#!")
    if command[0] == "llava" and not script and not SHELL.search(re.sub(r"#.*|\"[^\"]*\"|'[^']*'", "", example)):
        monkeypatch.setattr(sys, "stdin", io.StringIO("What happens?\n"))
        result = llava(*command[1:])
        assert result.code in (0, command[1] == "grep"), result.err  # which may find nothing
        prints = command[1] != "grep" and "batch export" not in example
        assert result.out or not prints or " -o " in example or " --output " in example
        return
    missing = [
        name for name in ("jq", "parallel", "ffmpeg") if re.search(rf"\b{name}\b", example) and not shutil.which(name)
    ]
    if missing:
        pytest.skip(f"{missing[0]} is not installed")
    in_a_shell(example, files)


def test_benchmarks_become_tasks_that_can_be_read(files, tmp_path):
    """Of the files that their authors publish, as README converts them."""
    from llava_cli.evaluation.task import read_task

    if shutil.which("jq") is None:
        pytest.skip("jq is not installed")
    shutil.copytree(files, tmp_path / "here")
    read = {}
    for example in readme_examples():
        if example.startswith("jq") and (target := re.search(r"> (\w+)\.jsonl$", example)):
            subprocess.run(["bash", "-euo", "pipefail", "-c", example], check=True, cwd=tmp_path / "here")
            with (tmp_path / "here" / f"{target[1]}.jsonl").open("rb") as stream:
                read[target[1]] = list(read_task(stream, target[1]))
    (bench,), (ego,) = read["mvbench"], read["egoschema"]
    assert (bench.options, bench.truth, bench.category) == (("he", "she"), 1, "action_sequence")
    assert (bench.job.names, bench.job.start, bench.job.end) == (("video/1.mp4",), 1, 2)
    assert (ego.id, ego.job.names, ego.truth, len(ego.options)) == ("q1", ("videos/q1.mp4",), 0, 5)


def in_a_shell(example: str, files: Path) -> None:
    environment = os.environ | {
        "PATH": f"{files / 'bin'}{os.pathsep}{os.environ['PATH']}",
        "SLURM_ARRAY_TASK_ID": "1",
        "TERM": "dumb",
    }
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", example],
        env=environment, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "rror" not in done.stderr
