# SPDX-License-Identifier: Apache-2.0
"""Mistakes in a command line: one line, in one style, that says what was probably meant."""

from __future__ import annotations

from pathlib import Path

import pytest

from llava_cli.cli.mistakes import check_order, names_a_file
from llava_cli.errors import UsageError


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch) -> Path:
    """A folder to stand in that holds two files."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "clip.mp4").touch()
    (tmp_path / "notes").touch()
    return tmp_path


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["--nope"], "no such option: --nope; see llava -h"),
        (["ask", "--nope"], "no such option: --nope; see llava ask -h"),
        (["ask", "--frame", "3"], "no such option: --frame; did you mean --frames?"),
        (["ask", "a", "q", "--frames"], "option '--frames' requires an argument; see llava ask -h"),
        (["ask", "a", "q", "-n", "many"], "--frames: must be a whole number from 1 to 4096, not 'many'"),
        (["ask", "a", "q", "--seed", "-1"], "--seed: must be a whole number from 0 to 2^63 - 1, not '-1'"),
        (["ask", "a", "q", "--device", "gpu"], "--device: must be auto, cpu, cuda, cuda:N or mps, not 'gpu'"),
        (["ask", "a", "q", "--sheet", "-"], "--sheet: must be a file; to write one of this name: ./-"),
        (["caption", "a", "--csv", "-"], "--csv: must be a file; to write one of this name: ./-"),
        (["batch", "a", "--report", "-"], "--report: must be a file; to write one of this name: ./-"),
        (["frames"], "MEDIA... is missing; see llava frames -h"),
        (["models", "show"], "NAME is missing; see llava models show -h"),
        (["aks", "clip.mp4", "q"], "no such command: llava aks; did you mean llava ask?"),
        (["models", "shwo"], "no such command: llava models shwo; did you mean llava models show?"),
        (["clip.mp4", "why?"], "no such command: llava clip.mp4; did you mean: llava ask clip.mp4 'why?'"),
        (["https://example.org/a", "q"], "no such command: llava https://example.org/a; did you mean: "
                                         "llava ask https://example.org/a q"),
        (["sing"], "no such command: llava sing; see llava -h"),
        (["ask", "a", "q", "-q", "-v"], "--quiet and --verbose cannot be used together"),
        (["ask", "a", "q", "--top-p", "0.5"],
         "--top-p needs a --temperature above 0: without one, nothing is sampled"),
        (["ask", "a", "q", "--top-p", "0.5", "--temperature", "0"],
         "--top-p needs a --temperature above 0: without one, nothing is sampled"),
        (["caption", "-", "--top-p", "0.5"],
         "standard input (-) cannot be a media file here; --files-from - reads names from it"),
        (["caption", "clip.mp4", "--top-p", "0.5"],
         "--top-p needs a --temperature above 0: without one, nothing is sampled"),
        (["ask", "-", "-p", "-"], "standard input (-) can be read only once"),
        (["batch", "-", "-p", "-"], "standard input (-) can be read only once"),
        (["caption", "--files-from", "-", "-p", "-"], "standard input (-) can be read only once"),
    ],
)  # fmt: skip
def test_a_mistake_is_one_line_in_one_style(llava, arguments, line):
    result = llava(*arguments)
    assert (result.code, result.out, result.err) == (2, "", f"llava: {line}\n")


@pytest.mark.parametrize(
    ("media", "question", "message"),
    [
        (["clip.mp4"], "-", "the question is missing; '-' is a video or an image, and -p - reads a question"),
        (["clip.mp4"], "notes", "notes: the question is missing, for this is a file; -p TEXT asks even so"),
        (["What happens?"], "clip.mp4", "the question comes after the media: llava ask clip.mp4 'What happens?'"),
        (["What happens?", "notes"], "clip.mp4", "comes after the media: llava ask notes clip.mp4 'What happens?'"),
        (["clip.mp4", "what", "is"], "this", "needs quotes: llava ask clip.mp4 'what is this'"),
        (["-", "what", "is"], "it's", """needs quotes: llava ask - 'what is it'"'"'s'"""),
    ],
)
def test_media_and_question_in_each_other_s_place(media, question, message):
    with pytest.raises(UsageError) as raised:
        check_order(media, question)
    assert message in str(raised.value)


@pytest.mark.parametrize(
    ("media", "question"),
    [
        (["clip.mp4"], "What happens?"),
        (["none.mp4", "notes"], "why"),  # whoever reads it says that it is not there
        (["none"], "Why?"),
        (["clip.mp4", "other.dat"], "Why?"),
        (["-", "https://example.org/a"], "Why?"),
    ],
)
def test_what_may_be_meant_so_is_left_alone(media, question):
    check_order(media, question)


def test_what_seems_to_be_a_file():
    assert all(map(names_a_file, ("clip.mp4", "notes", "none.MKV", "-", "https://example.org/a")))
    assert not any(map(names_a_file, ("What", "happens?", "none")))
