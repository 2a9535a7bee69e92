# SPDX-License-Identifier: Apache-2.0
"""`llava grep` on clips whose truth is known: what it finds, what it prints, and what a second search costs."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from llava_cli.demo.draw import render_clip
from llava_cli.demo.world import dice, sample_clip

ASKED = ("-m", "demo", "--question", "Is there a {}?", "--yes", "There is a {}.", "--no", "There is no {}.")


@pytest.fixture(scope="module")
def clips(tmp_path_factory) -> Path:
    """60 clips, each named after the shapes in it."""
    folder = tmp_path_factory.mktemp("clips")
    for number in range(60):
        rng = dice("grep", number)
        spec = sample_clip(rng, count=rng.choices((1, 2), (3, 1))[0])
        kinds = "-".join(shape.kind for shape in spec.shapes)
        render_clip(spec, folder / f"{number:02}-{kinds}.mp4", seconds=1.0, rate=12)
    return folder


@pytest.fixture
def few(clips, tmp_path) -> Path:
    """Two with a circle, one without."""
    folder = tmp_path / "few"
    folder.mkdir()
    with_one = sorted(clips.glob("*-circle.mp4"))[:2]
    for name, path in zip(
        ("a.mp4", "b.mp4", "c.mp4"), [*with_one, next(iter(sorted(clips.glob("*-star.mp4"))))], strict=True
    ):
        shutil.copy(path, folder / name)
    return folder


def lines(result) -> list[tuple[float, str]]:
    return [(float(share), Path(name).name) for share, name in (line.split("\t") for line in result.out.splitlines())]


def test_nearly_all_clips_with_a_circle_are_found_and_nearly_no_others(llava, clips, tmp_path):
    result = llava("grep", "circle", clips, *ASKED, "-o", tmp_path / "found.jsonl")
    assert result.code == 0, result.err
    found = {name for _, name in lines(result)}
    true = {path.name for path in clips.iterdir() if "circle" in path.name}
    assert 10 < len(true) < 40
    assert len(found & true) >= 0.9 * len(found)  # precision
    assert len(found & true) >= 0.9 * len(true)  # recall
    assert all(share >= 0.5 for share, _ in lines(result))
    again = llava("grep", "circle", clips, *ASKED, "-o", tmp_path / "found.jsonl", "-v")
    assert {name for _, name in lines(again)} == {path.name for path in clips.iterdir()} - found
    assert "0 done, 0 failed, 60 skipped" in again.err


def test_what_is_printed_of_what_is_found(llava, few, tmp_path):
    ledger = tmp_path / "found.jsonl"
    search = ("grep", "circle", few, *ASKED, "-o", ledger)
    assert {name for _, name in lines(llava(*search))} == {"a.mp4", "b.mp4"}
    records = {Path(r["media"][0]["path"]).name: r for r in map(json.loads, ledger.read_text().splitlines())}
    shares = {name: record["choices"][0]["probability"] for name, record in records.items()}
    assert records["a.mp4"]["question"] == "Is there a circle?"
    assert llava(*search, "-l").out == f"{few}/a.mp4\n{few}/b.mp4\n"
    assert llava(*search, "-c").out == "2\n"
    by_share = sorted(shares, key=lambda name: -shares[name])
    assert [name for _, name in lines(llava(*search, "--sort", "--threshold", "0"))] == by_share
    told = [json.loads(line) for line in llava(*search, "--json").out.splitlines()]
    assert [Path(record["media"][0]["path"]).name for record in told] == ["a.mp4", "b.mp4"]
    least = min(shares["a.mp4"], shares["b.mp4"])
    none = llava(*search, "--threshold", "1")
    assert (none.code, none.out) == (1, "") or least == 1
    assert len(ledger.read_text().splitlines()) == 3


def test_a_copy_is_found_by_the_answer_to_the_first(llava, few, tmp_path):
    shutil.copy(few / "a.mp4", few / "d.mp4")
    ledger = tmp_path / "found.jsonl"
    found = lines(llava("grep", "circle", few, *ASKED, "-o", ledger, "--sort"))
    shares = {name: share for share, name in found}
    assert shares["d.mp4"] == shares["a.mp4"]
    assert sum("same_as" in json.loads(line) for line in ledger.read_text().splitlines()) == 1


def test_the_question_and_the_files_can_be_seen_without_asking(llava, few):
    result = llava("grep", "a dog", few, "--dry-run", "-m", "no/such-checkpoint")
    assert result.code == 0, result.err
    assert result.out.splitlines()[:3] == [
        "question: Is there a dog? Answer yes or no.", "answers: Yes or No", f"{few}/a.mp4"
    ]  # fmt: skip


def test_a_file_that_cannot_be_searched_has_an_exit_code_of_its_own(llava, few):
    (few / "broken.mp4").write_bytes(b"no video")
    result = llava("grep", "circle", few, *ASKED)
    assert result.code == 3
    assert {name for _, name in lines(result)} == {"a.mp4", "b.mp4"}
    assert "1 failed" in result.err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("a dog",), 'files are missing; try: llava grep "a dog" -r videos/'),
        ((" ", "a.mp4"), "the pattern is empty"),
        (("a dog", "a.mp4", "--question", "Is it?"), "--question has no {} for the pattern"),
        (("a dog", "a.mp4", "--yes", "No"), "the choice 'No' is there twice"),
        (("a dog", "a.mp4", "--threshold", "2"), "from 0 to 1"),
        (("a dog", "a.mp4", "--json", "-c"), "--json cannot be used together with --count"),
        (("a dog", "a.mp4", "-o", "-"), "--output names the file that keeps the records"),
    ],
)
def test_searches_that_make_no_sense(llava, arguments, said):
    result = llava("grep", *arguments, "-m", "demo")
    assert result.code == 2
    assert said in result.err
