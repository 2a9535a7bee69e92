# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import os
from pathlib import Path

import pytest

from llava_cli.media.errors import MediaError
from llava_cli.media.limits import Limits
from llava_cli.media.source import HeldSource, Source, check_pixels, check_walk, is_url
from llava_cli.texts import masked


@pytest.mark.parametrize(
    ("name", "url"),
    [
        ("https://example.org/x", True), ("HTTP://x", True), (b"http://\xff", True), ("hf://datasets/a/b/x", True),
        ("hf:x", False),
        ("http:x.webm", False), ("./https://x", False), ("ftp://x", False), ("-", False),
    ],
)  # fmt: skip
def test_only_slashes_make_a_url(name: str | bytes, url: bool) -> None:
    assert is_url(name) is url


def test_a_source_is_read_any_number_of_times_at_once_whatever_its_name(tmp_path: Path) -> None:
    path = os.fsencode(tmp_path) + b"/http:x\xff"
    Path(os.fsdecode(path)).write_bytes(b"content")
    source = Source(os.fsdecode(path), "http:x")
    with source.open() as one, source.stream() as two, source.descriptor() as three:
        held = HeldSource("", "", held=three)
        with held.open() as four, held.stream() as five:
            assert [one.read(2), two.read(3), os.read(three, 4), four.read(), five.read(1), two.read(2)] == [
                b"co", b"con", b"cont", b"content", b"c", b"te",
            ]  # fmt: skip
        assert os.fstat(three).st_size == 7, "what is held stays open"


def test_what_is_gone_is_an_error_of_the_file(tmp_path: Path) -> None:
    source = Source(str(tmp_path / "x"), "x")
    for read in (source.open, source.stream, source.descriptor().__enter__):
        with pytest.raises(MediaError, match=r"cannot be opened \(No such file"):
            read()


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("https://user:secret@example.org/x@y", "https://***@example.org/x@y"),
        ("HTTP://token@example.org", "HTTP://***@example.org"),
        ("https://a:b@c:d@example.org/?q=1", "https://***@example.org/?q=1"),
        ("https://example.org/@user/x.mp4?mail=a@b", "https://example.org/@user/x.mp4?mail=a@b"),
        ("a@b.mp4", "a@b.mp4"),
        ("['ask', 'http://u:p@h/x', 'https://v:q@h/y']", "['ask', 'http://***@h/x', 'https://***@h/y']"),
    ],
)
def test_no_name_holds_a_password(name: str, shown: str) -> None:
    assert masked(name) == shown
    assert masked(shown) == shown


def test_the_bounds_themselves_are_allowed() -> None:
    limits = Limits(max_pixels=6, max_walk=7)
    check_pixels(2, 3, limits)
    check_walk(7, limits)
    with pytest.raises(MediaError, match="claims 1x7 pixels, more than the 6 allowed; --max-pixels allows more"):
        check_pixels(1, 7, limits)
    with pytest.raises(MediaError, match=r"more than 7 frames .*--max-walk allows more"):
        check_walk(8, limits)
