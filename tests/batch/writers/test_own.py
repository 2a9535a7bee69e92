# SPDX-License-Identifier: Apache-2.0
"""Which files a list has written: by name and content, remembered beside the ledger, and no more than that."""

from __future__ import annotations

from pathlib import Path

from llava_cli.batch.writers.own import Own


def test_a_file_is_known_by_its_name_and_what_it_holds(tmp_path):
    own = Own(tmp_path / "ledger")
    own.add(tmp_path / "a.txt", b"one")
    for known in (own, Own(tmp_path / "ledger")):
        assert known.has(tmp_path / "a.txt", b"one")
        assert not known.has(tmp_path / "a.txt", b"two")
        assert not known.has(tmp_path / "b.txt", b"one")


def test_without_a_ledger_only_this_run_is_known_and_nothing_is_written(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    own = Own(None)
    own.add(Path("a.txt"), b"one")
    assert own.has(tmp_path / "a.txt", b"one")
    assert not Own(None).has(tmp_path / "a.txt", b"one")
    assert list(tmp_path.iterdir()) == []


def test_what_a_crash_has_left_half_written_is_no_digest(tmp_path):
    own = Own(tmp_path / "ledger")
    own.add(tmp_path / "a.txt", b"one")
    with (tmp_path / "ledger.sidecars").open("ab") as notes:
        notes.write(b"half")
    own.add(tmp_path / "b.txt", b"two")
    again = Own(tmp_path / "ledger")
    assert again.has(tmp_path / "a.txt", b"one")
    assert again.has(tmp_path / "b.txt", b"two")
