# SPDX-License-Identifier: Apache-2.0
"""Where sidecars go. More of them is in tests/cli/test_caption.py."""

from __future__ import annotations

from pathlib import Path

import pytest

from llava_cli.batch.writers.sidecar import place

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
