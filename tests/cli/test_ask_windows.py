# SPDX-License-Identifier: Apache-2.0
"""A question about a long video: asked of each window, and answered from all of them."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
import webvtt
from cli.worlds import QUESTION, TRUE, write

ASK = ("-m", "demo", "--every", "3s")


@pytest.fixture(scope="module")
def clip(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("world") / "clip.mp4"
    write(path)
    return path


def test_the_answer_is_the_one_about_the_whole(llava, clip):
    result = llava("ask", clip, QUESTION, *ASK)
    assert (result.code, len(result.out.splitlines())) == (0, 1)
    *windows, whole = map(json.loads, llava("ask", clip, QUESTION, *ASK, "--json").out.splitlines())
    assert [record["answer"] for record in windows] == list(TRUE)
    assert (whole["question"], whole["answer"]) == (QUESTION, result.out.strip())
    assert whole["summary"]["windows"] == [record["id"] for record in windows]


def test_a_pipe_is_read_once(as_program, clip):
    with clip.open("rb") as stream:
        done = as_program("ask", "-", "-p", QUESTION, *ASK, "--json", stdin=stream)
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert [record["answer"] for record in found[:3]] == list(TRUE)
    assert {record["media"][0]["path"] for record in found[:3]} == {"-"}


def test_a_format_takes_the_place_of_the_answer(llava, clip, tmp_path):
    path = tmp_path / "x.vtt"
    assert llava("ask", clip, QUESTION, *ASK, "--format", "vtt", "-o", path).out == ""
    assert [cue.text for cue in webvtt.read(str(path))] == list(TRUE)
    shown = llava("ask", clip, QUESTION, *ASK, "--format", "vtt").out
    assert [cue.text for cue in webvtt.from_buffer(io.StringIO(shown))] == list(TRUE)


def test_records_are_kept_in_a_file(llava, clip, tmp_path):
    path = tmp_path / "x.jsonl"
    assert llava("ask", clip, QUESTION, *ASK, "-o", path).code == 0
    assert [json.loads(line).get("window", {}).get("number") for line in path.read_text().splitlines()] == [
        1,
        2,
        3,
        None,
    ]


def test_an_image_has_no_windows_and_is_answered(llava, picture):
    result = llava("ask", picture, QUESTION, *ASK)
    assert (result.code, len(result.out.splitlines())) == (0, 1)


@pytest.mark.parametrize(
    ("arguments", "code", "why"),
    [
        (("none.mp4", QUESTION), 3, "none.mp4: no such file"),
        (("a.mp4", "b.mp4", QUESTION), 2, "are for one video, not 2 files"),
        (("a.mp4", QUESTION, "--dry-run"), 2, "--dry-run and --sheet are about one part"),
    ],
)
def test_what_cannot_be_asked_is_told(llava, arguments, code, why):
    result = llava("ask", *arguments, *ASK)
    assert (result.code, why in result.err) == (code, True)


def test_without_windows_there_is_nothing_along_the_time(llava, clip):
    result = llava("ask", clip, QUESTION, "-m", "demo", "--summary")
    assert (result.code, "use --every or --scenes" in result.err) == (2, True)
