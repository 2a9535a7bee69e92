# SPDX-License-Identifier: Apache-2.0
"""Errors that nobody foresaw: each has a log that only its user can read, and a thousand alike share one."""

from __future__ import annotations

from pathlib import Path

import pytest

from llava_cli.bugs import as_failure, log_of, told
from llava_cli.errors import ExitCode, InputError


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    return tmp_path / "llava"


def raised(error: Exception) -> Exception:
    try:
        raise error
    except type(error) as found:
        return found


def test_a_log_holds_the_traceback_and_is_its_user_s_own(folder):
    line = told(raised(KeyError("Wh\udcff?")))
    (log,) = folder.iterdir()
    assert line == f"this is a bug in llava: KeyError: 'Wh\\udcff?'; details in {log}"
    assert "in raised" in log.read_text()
    assert log.stat().st_mode & 0o777 == 0o600


def test_bugs_alike_share_a_log_and_others_have_their_own(folder):
    logs = {log_of(raised(KeyError(number))) for number in range(5)}
    assert len(logs) == 1
    assert log_of(raised(ValueError("other"))) not in logs
    assert len(list(folder.iterdir())) == 2


def test_a_log_that_cannot_be_written_is_told(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "file"))
    assert "nowhere, because the log could not be written" in told(raised(IndexError("unwritten")))


def test_what_says_what_is_wrong_stays_what_it_is():
    error = InputError("a.mp4: is empty")
    assert as_failure(error) is error
    assert as_failure(MemoryError()).exit_code == ExitCode.OUT_OF_MEMORY
    assert as_failure(raised(KeyError("x"))).exit_code == ExitCode.BUG
