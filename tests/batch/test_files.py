# SPDX-License-Identifier: Apache-2.0
"""Which files a command line stands for."""

from __future__ import annotations

import io
import os

import pytest

from llava_cli.batch.feed import shard
from llava_cli.batch.files import EXTENSIONS, caption_jobs, expand, names
from llava_cli.batch.jobs import Job


@pytest.fixture
def tree(tmp_path):
    for name in ("b.MP4", "a.webm", "notes.txt", ".hidden.mp4", "deep/c.png", "deep/deeper/d.mov", ".git/e.mp4"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    (tmp_path / "deep" / "up").symlink_to(tmp_path)
    return tmp_path


def found(tree, recursive=False, extensions=EXTENSIONS):
    return [os.path.relpath(path, tree) for path in expand(str(tree), recursive, extensions)]


def test_a_folder_gives_its_videos_and_images_in_order(tree):
    assert found(tree) == ["a.webm", "b.MP4"]
    assert found(tree, extensions={"txt"}) == ["notes.txt"]


def test_folders_of_folders_once_each_though_links_lead_back(tree):
    assert found(tree, recursive=True) == ["a.webm", "b.MP4", "deep/c.png", "deep/deeper/d.mov"]


def test_what_is_named_itself_is_taken_whatever_it_is(tree):
    for path in (tree / "notes.txt", tree / "missing.mp4", "with\0nul"):
        assert list(expand(str(path), True, EXTENSIONS)) == [str(path)]


def test_lists_of_names():
    assert list(names(io.BytesIO(b"a b.mp4\r\n\n c\xff.mp4"), null=False)) == ["a b.mp4", " c\udcff.mp4"]
    assert list(names(io.BytesIO(b"a\nb.mp4\0c\r\0"), null=True)) == ["a\nb.mp4", "c\r"]


def test_every_question_about_every_file():
    jobs = list(caption_jobs(iter("ab"), ["Who?", None]))
    assert jobs == [Job(("a",), "Who?"), Job(("a",), None), Job(("b",), "Who?"), Job(("b",), None)]


def test_shards_share_out_all_files_with_their_questions():
    jobs = list(caption_jobs((f"{n}.mp4" for n in range(300)), ["Who?", "Why?"]))
    parts = [list(shard(jobs, number, 3)) for number in (1, 2, 3)]
    assert sorted((job for part in parts for job in part), key=jobs.index) == jobs
    assert all(len(part) > 100 for part in parts)
    assert not {job.media for job in parts[0]} & {job.media for job in parts[1]}
    assert list(shard(reversed(jobs), 1, 3)) == parts[0][::-1]  # whatever the order of the list
