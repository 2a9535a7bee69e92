# SPDX-License-Identifier: Apache-2.0
"""What is the same work: contents and settings, and nothing else."""

from __future__ import annotations

import os
import shutil

import pytest

from llava_cli.batch.identity import Identifier, checkpoint_identity, content
from llava_cli.batch.jobs import Job
from llava_cli.engine.types import Generation, LoadOptions
from llava_cli.media.clip import Sampling, View
from llava_cli.models.checkpoint import Checkpoint


def test_names_and_dates_change_nothing_but_every_byte_of_a_small_file_does(tmp_path):
    a, b = tmp_path / "a", tmp_path / "b"
    a.write_bytes(os.urandom(100_000))
    shutil.copyfile(a, b)
    os.utime(b, (1, 1))
    assert content(str(a)) == content(str(b))
    data = bytearray(a.read_bytes())
    data[50_000] ^= 1
    b.write_bytes(data)
    assert content(str(a)) != content(str(b))


@pytest.mark.parametrize("place", [0, 1_000_000, -1])
def test_the_ends_of_a_large_file_count_and_so_does_its_length(tmp_path, place):
    path = tmp_path / "large"
    data = bytearray(8 << 20)
    path.write_bytes(data)
    before = content(str(path))
    data[place] ^= 1
    path.write_bytes(data)
    assert content(str(path)) != before
    path.write_bytes(bytes((8 << 20) + 1))
    assert content(str(path)) != before


def test_large_files_are_not_read_whole(tmp_path):
    path = tmp_path / "sparse"
    with path.open("wb") as file:
        file.truncate(1 << 40)
    assert len(content(str(path))) == 64


def test_a_file_that_appears_is_new_work(tmp_path):
    path = tmp_path / "late.mp4"
    missing = content(str(path))
    assert missing != content(str(tmp_path / "other.mp4"))
    path.write_bytes(b"x")
    assert content(str(path)) != missing


def test_pipes_and_folders_are_not_opened(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    assert content(str(tmp_path / "pipe")).startswith("no file")
    assert content(str(tmp_path)).startswith("no file")
    assert content("with\0nul").startswith("unreadable")


BASE = {"checkpoint": {"files": 1}, "generation": Generation(), "system": None}


def key(job: Job, contents=("c",), sampling=None, **changes: object) -> str:
    settings = BASE | changes

    def view_of(job: Job) -> View:
        return View((56, 56), "crop", sampling or Sampling(start=job.start, frames=job.frames or 8))

    return Identifier(settings["checkpoint"], settings["generation"], view_of, settings["system"]).key(job, contents)


def test_each_setting_counts():
    job = Job(("a.mp4",), "Why?")
    keys = [
        key(job),
        key(job, contents=("d",)),
        key(Job(("a.mp4",), "Who?")),
        key(Job(("a.mp4",), None)),
        key(Job(("a.mp4",), "Why?", system="Be brief.")),
        key(Job(("a.mp4",), "Why?", start=1.0)),
        key(Job(("a.mp4",), "Why?", frames=4)),
        key(job, sampling=Sampling("linspace")),
        key(job, checkpoint={"files": 2}),
        key(job, generation=Generation(max_new_tokens=8)),
        key(job, generation=Generation(temperature=0.5)),
    ]
    assert len(set(keys)) == len(keys)


def test_names_ids_and_other_keys_do_not_count():
    job = Job(("a.mp4",), "Why?")
    assert key(job) == key(Job(("b.mp4",), " Why?\n", id="7", extra={"label": 1}))
    assert key(job, system="Be brief.") == key(Job(("a.mp4",), "Why?", system="Be brief."))


def test_a_local_checkpoint_is_known_by_its_files(tmp_path):
    one, two = tmp_path / "one", tmp_path / "two"
    one.mkdir()
    (one / "config.json").write_text("{}")
    (one / "model.safetensors").write_bytes(b"weights")
    shutil.copytree(one, two)
    options = LoadOptions()

    def known(folder, options=options, rope=None):
        return checkpoint_identity(Checkpoint(str(folder), folder, {}), options, rope)

    assert known(one) == known(two)
    assert known(one) != known(one, LoadOptions(quantization="4bit"))
    assert known(one) != known(one, rope=2.0)
    assert known(one) == known(one, LoadOptions(device="cuda:1", attention="eager"))
    (two / "model.safetensors").write_bytes(b"weighty")
    assert known(one) != known(two)


def test_a_url_is_known_by_its_text_and_its_server_is_not_asked(monkeypatch):
    monkeypatch.setattr("socket.getaddrinfo", None)
    one, two = content("https://example.org/a.mp4"), content("https://example.org/b.mp4")
    assert one == content("https://example.org/a.mp4")
    assert one != two
    assert one != content("./https://example.org/a.mp4")
