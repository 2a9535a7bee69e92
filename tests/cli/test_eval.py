# SPDX-License-Identifier: Apache-2.0
"""`llava eval` on a task of the demo world: right more often than not, by likelihood no less than by words."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from llava_cli.demo.task import write_task

TEXTS = ("-m", "demo", "--style", "texts", "--json")


@pytest.fixture(scope="module")
def task(tmp_path_factory) -> Path:
    return write_task(tmp_path_factory.mktemp("task"), clips=6, seconds=1.0)


def test_likelihood_is_right_no_less_often_than_words(llava, task, tmp_path):
    reports = {}
    for by in ("scores", "text"):
        result = llava("eval", task, *TEXTS, "--by", by, "-o", tmp_path / f"{by}.jsonl")
        assert result.code == 0, result.err
        reports[by] = json.loads(result.out)
    assert reports["scores"]["asked"] == 30
    assert reports["scores"]["accuracy"] >= reports["text"]["accuracy"] > 0.8
    low, high = reports["scores"]["interval"]
    assert low < reports["scores"]["accuracy"] <= high
    assert set(reports["scores"]["categories"]) == {"shape", "colour", "motion", "count", "existence"}
    assert sum(one["asked"] for one in reports["scores"]["reliability"]) == 30
    assert reports["scores"]["normalize"] == "none"
    assert "normalize" not in reports["text"]
    again = llava("eval", task, *TEXTS, "-o", tmp_path / "scores.jsonl")
    assert "0 done, 0 failed, 30 skipped" in again.err
    assert json.loads(again.out) == reports["scores"]


def test_letters_are_asked_for_and_options_shuffled(llava, task, tmp_path):
    """The demo checkpoint knows no letters: it is how they are asked that is looked at."""
    orders = set()
    for seed in ((), ("--shuffle", "1"), ("--shuffle", "2")):
        ledger = tmp_path / f"{len(orders)}.jsonl"
        result = llava("eval", task, "-m", "demo", *seed, "--limit", "1", "-o", ledger)
        assert result.code == 0, result.err
        (record,) = map(json.loads, ledger.read_text().splitlines())
        assert [choice["text"] for choice in record["choices"]] == list("ABCD"[: len(record["choices"])])
        assert record["category"] == "shape"
        assert "\nA. " in record["question"]
        orders.add(record["question"])
    assert len(orders) > 1


def test_the_report_for_people_has_figures_and_settings(llava, task):
    result = llava("eval", task, "-m", "demo", "--style", "texts", "--limit", "10", "-q")
    lines = result.out.splitlines()
    assert lines[0].split() == ["right", "asked", "accuracy", "95", "%", "interval"]
    assert any(line.split()[:3] == ["all", "10", "10"] or line.strip().startswith("all") for line in lines)
    assert any(line.startswith("models: checkpoint demo, family llava-next-video, dtype float32") for line in lines)
    assert "sampling: policy uniform, frames 8" in lines
    assert "pixels: exact" in lines
    assert "by scores, style texts, normalize none" in lines


def test_failures_count_as_wrong_and_end_with_1(llava, task, tmp_path):
    first, *_ = task.read_text().splitlines()
    missing = json.dumps(json.loads(first) | {"id": "gone", "media": str(tmp_path / "gone.mp4")})
    short = tmp_path / "task.jsonl"
    short.write_text(f"{first}\n{missing}\n")
    result = llava("eval", short, *TEXTS)
    assert result.code == 1
    report = json.loads(result.out)
    assert (report["asked"], report["failed"]) == (2, 1)
    assert report["right"] <= 1


@pytest.mark.parametrize(
    ("content", "options", "code", "said"),
    [
        (
            '{"media": "a.mp4", "question": "Who?", "choices": ["x", "y"], "answer": "z"}',
            (),
            3,
            "question 1: answer must",
        ),
        ("", (), 3, "has no questions"),
        ("{", (), 3, "line 1: is not valid JSON"),
        (None, (), 3, "cannot be read"),
        ("", ("--by", "text", "--normalize", "tokens"), 2, "it needs --by scores"),
        ("", ("--by", "luck"), 2, "must be scores or text"),
    ],
)
def test_tasks_that_make_no_sense(llava, tmp_path, content, options, code, said):
    task = tmp_path / "task.jsonl"
    if content is not None:
        task.write_text(content)
    result = llava("eval", task, "-m", "demo", *options)
    assert (result.code, result.out) == (code, "")
    assert said in result.err
