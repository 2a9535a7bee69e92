# SPDX-License-Identifier: Apache-2.0
"""Where sidecars go. More of them is in tests/cli/test_caption.py."""

from __future__ import annotations

from pathlib import Path

import pytest

from llava_cli.batch.writers.forms import FORMS
from llava_cli.batch.writers.sidecar import Sidecars, place
from llava_cli.errors import OutputError

URLS = [
    "https://example.org/videos/clip.mp4",
    "https://example.org/videos/clip.webm",
    "https://example.org/videos//clip.mp4",
    "https://example.org/videos%2Fclip.mp4",
    "https://example.org/../../../etc/cron.d/x",
    "https://example.org/%2e%2e/%2e%2e/x",
    "https://../../x.mp4",
    "https://example.org/.bashrc",
    "https://example.org/-rf",
    "https://example.org/%2Ebashrc",
    "https://example.org/clip.mp4?key=a/../../b&x=1",
    "https://example.org/clip.mp4%3Fkey=a/../../b&x=1",
    "https://example.org/clip.mp4#part",
    "https://example.org/",
    "https://example.org",
    "https://example.org//",
    "https://example.org/a\x00b\x1b[31m\n",
    "https://example.org/\udcff.mp4",
    "https://example.org/" + 500 * "x" + "/a.mp4",
    "https://example.org/" + 501 * "x" + "/a.mp4",
    "https://example.org/" + 500 * "é",
    "https:///x",
]


def test_of_a_url_it_is_named_after_its_host_and_path():
    found = place("https://example.org/videos/clip.mp4", "txt", Path("out"))
    assert found == Path("out/example.org/videos/clip.mp4.txt")
    assert place("http://127.0.0.1:8000/a b.mp4", "json", None) == Path("127.0.0.1%3A8000/a%20b.mp4.json")


@pytest.mark.parametrize("url", URLS)
def test_no_url_leads_out_of_the_folder(url, tmp_path):
    found = place(url, "txt", tmp_path / "out")
    names = found.relative_to(tmp_path / "out").parts
    assert found.resolve().is_relative_to(tmp_path / "out")
    assert not any(name.startswith((".", "-")) for name in names)
    assert all(name.isascii() and name.isprintable() for name in names)
    found.parent.mkdir(parents=True)
    found.touch()


def test_no_two_urls_share_one():
    assert len({place(url, "txt", None) for url in URLS}) == len(URLS)


@pytest.mark.parametrize("path", ["/../../x.mp4", "../../x.mp4", "a/../../../x.mp4", "/etc/../../x.mp4"])
def test_no_path_leads_out_of_the_folder(path, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert ".." not in place(path, "txt", Path("out")).parts


def put(writer: Sidecars, media: Path, *answers: str | None, new: bool = True) -> None:
    """Have answers written; None is a failure."""
    common = {"media": [{"path": str(media)}]}
    records = [common | ({"status": "error"} if text is None else {"status": "ok", "answer": text}) for text in answers]
    writer.put([(record, new) for record in records], [])


@pytest.fixture
def media(tmp_path) -> Path:
    (tmp_path / "clip.mp4").touch()
    return tmp_path / "clip.mp4"


def test_what_somebody_else_has_written_is_not_replaced(media):
    mine = media.with_suffix(".txt")
    mine.write_text("a red car, by hand")
    with pytest.raises(OutputError, match=r"clip\.txt: is there already, and llava did not write it; --overwrite"):
        put(Sidecars(FORMS["txt"]), media, "A car.")
    assert mine.read_text() == "a red car, by hand"
    put(Sidecars(FORMS["txt"]), media, None)  # nothing to write
    put(Sidecars(FORMS["txt"]), media, "a red car, by hand", new=False)  # of an earlier run
    assert mine.read_text() == "a red car, by hand"
    put(Sidecars(FORMS["txt"], overwrite=True), media, "A car.")
    assert mine.read_text() == "A car.\n"


def test_its_own_are_replaced_in_this_run_and_in_later_ones_of_the_ledger(media, tmp_path):
    ledger, text = tmp_path / "out.jsonl", media.with_suffix(".txt")
    first = Sidecars(FORMS["txt"], ledger=ledger)
    put(first, media, "One.")
    put(first, media, "One.", "Two.")
    first.close()
    put(Sidecars(FORMS["txt"], ledger=ledger), media, "Three.")
    assert text.read_text() == "Three.\n"
    text.write_text("Three, as I see it.\n")
    with pytest.raises(OutputError, match="did not write it"):
        put(Sidecars(FORMS["txt"], ledger=ledger), media, "Four.")
    with pytest.raises(OutputError, match="did not write it"):
        put(Sidecars(FORMS["txt"], ledger=tmp_path / "other.jsonl"), media, "Four.")


def test_the_same_again_and_an_empty_file_are_nobody_s_loss(media):
    text = media.with_suffix(".txt")
    text.write_text("A car.\n")
    put(Sidecars(FORMS["txt"]), media, "A car.")
    text.write_text("")
    put(Sidecars(FORMS["txt"]), media, "A bus.")
    assert text.read_text() == "A bus.\n"


def test_a_place_that_cannot_be_written_is_told(media):
    media.with_suffix(".txt").mkdir()
    with pytest.raises(OutputError, match=r"clip\.txt: cannot be written"):
        put(Sidecars(FORMS["txt"]), media, "A car.")
