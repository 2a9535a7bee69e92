# SPDX-License-Identifier: Apache-2.0
"""A file is written whole or not at all."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from llava_cli.atomic import AtomicFile, check_writable, make_folder, write_all, write_file
from llava_cli.errors import OutputError


def test_a_file_replaces_the_old_one_whole(tmp_path):
    path = tmp_path / "record.json"
    path.write_text("old and longer")
    write_file(path, b"new")
    assert path.read_bytes() == b"new"
    assert [p.name for p in tmp_path.iterdir()] == ["record.json"]
    assert path.stat().st_mode & 0o777 == 0o666 & ~current_umask()


def current_umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def test_a_failed_write_leaves_the_old_file_and_no_litter(tmp_path, monkeypatch):
    path = tmp_path / "record.json"
    path.write_text("old")

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OutputError, match=r"record\.json: cannot be written: the disk is full"):
        write_file(path, b"new")
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["record.json"]


def test_a_growing_file_takes_its_place_when_it_is_closed(tmp_path):
    path = tmp_path / "records.csv"
    file = AtomicFile(path)
    file.write("Zürich\udcff\n")
    assert not path.exists()
    file.close()
    file.discard()
    assert path.read_bytes() == "Zürich\\udcff\n".encode()


def test_what_is_given_up_leaves_the_old_file(tmp_path):
    path = tmp_path / "records.csv"
    path.write_text("old")
    file = AtomicFile(path)
    file.write("new")
    file.discard()
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["records.csv"]


def test_what_the_system_writes_in_pieces_is_written_whole(tmp_path, monkeypatch):
    write = os.write
    monkeypatch.setattr(os, "write", lambda file, data: write(file, bytes(data[:3])))
    with (tmp_path / "x").open("wb") as file:
        write_all(file.fileno(), b"0123456789")
    assert (tmp_path / "x").read_bytes() == b"0123456789"


def test_a_folder_that_cannot_be_made(tmp_path):
    make_folder(tmp_path / "a" / "b")
    make_folder(tmp_path / "a" / "b")
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match=r"file/b: cannot be made: Not a directory"):
        make_folder(tmp_path / "file" / "b")


@pytest.mark.parametrize("name", ["missing/record.json", "."])
def test_an_impossible_file_is_found_out_before_the_work(tmp_path: Path, name: str):
    with pytest.raises(OutputError):
        check_writable(tmp_path / name)
