# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest

from llava_cli.media.errors import MediaError
from llava_cli.media.limits import Limits
from llava_cli.media.source import Source, check_pixels, check_walk, is_url


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


def test_names_reach_decoders_as_they_are() -> None:
    source = Source("/a\udcff/http:x", "http:x")
    assert source.path_bytes == b"/a\xff/http:x"
    assert source.input == "file:/a\udcff/http:x"
    assert source.on_disk


def test_the_bounds_themselves_are_allowed() -> None:
    limits = Limits(max_pixels=6, max_walk=7)
    check_pixels(2, 3, limits)
    check_walk(7, limits)
    with pytest.raises(MediaError, match="claims 1x7 pixels, more than the 6 allowed; --max-pixels allows more"):
        check_pixels(1, 7, limits)
    with pytest.raises(MediaError, match=r"more than 7 frames .*--max-walk allows more"):
        check_walk(8, limits)
