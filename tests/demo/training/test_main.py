# SPDX-License-Identifier: Apache-2.0
"""`python -m llava_cli.demo.training`: where it writes, what it tells, and what it cannot do, in one line."""

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from llava_cli.demo.training import __main__ as program
from llava_cli.demo.training import measure


def test_progress_is_a_line_now_and_then_and_at_the_end(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    def steps(out: Path, report: Callable[[str, int, int, str], None]) -> None:
        assert out == tmp_path
        for step in range(1, 121):
            report("see", step, 120, f"right {step}")

    monkeypatch.setattr(program, "train", steps)
    monkeypatch.setattr(sys, "argv", ["training", str(tmp_path)])
    program.main()
    out, err = capsys.readouterr()
    assert out == ""
    assert err.splitlines()[:3] == ["see 50/120  right 50", "see 100/120  right 100", "see 120/120  right 120"]
    assert f"--model {tmp_path}" in err


@pytest.mark.parametrize(
    ("main", "message"), [(program.main, "cannot be made"), (measure.main, "no such folder")], ids=["train", "measure"]
)
def test_a_folder_that_will_not_do_is_one_line(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, main: Callable[[], None], message: str
) -> None:
    (tmp_path / "file").write_text("")
    folder = tmp_path / "file" / "demo"
    monkeypatch.setattr(sys, "argv", ["training", str(folder)])
    with pytest.raises(SystemExit) as ended:
        main()
    assert str(ended.value).startswith(f"llava: {folder}: ")
    assert message in str(ended.value)
    assert "\n" not in str(ended.value)
