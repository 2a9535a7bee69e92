# SPDX-License-Identifier: Apache-2.0
"""Addresses: what is one, and that none with a secret gets further."""

from __future__ import annotations

import pytest

from llava_cli.engine.remote.endpoint import Endpoint, checked_url
from llava_cli.errors import UsageError


@pytest.mark.parametrize("url", ["http://127.0.0.1:8000/v1", "https://host.example/v1", "http://[::1]:80/v1"])
def test_addresses(url: str) -> None:
    assert checked_url(url) == checked_url(f" {url}/ ") == url


NONE = ["", "host:8000", "ftp://h/v1", "http://", "http://h:x/v1", "http://h:0/", "http://h/ v", "http://h/\nv1"]


@pytest.mark.parametrize("url", [*NONE, "file:///etc/passwd", "http://schön/v1", "http://[::1/v1"])
def test_what_is_none(url: str) -> None:
    with pytest.raises(UsageError, match="is no server's address; one looks like http://HOST:8000/v1") as raised:
        checked_url(url)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    "url", ["http://me:secret@h/v1", "https://h/v1?key=secret", "http://h/v1#secret", "http://secret@h/v1",
            "http://me:secret@h:port/v1", "ftp://me:secret@h/v1"],
)  # fmt: skip
def test_an_address_with_a_secret_is_refused_without_telling_it(url: str) -> None:
    with pytest.raises(UsageError) as raised:
        Endpoint(url)
    assert "secret" not in str(raised.value)


@pytest.mark.parametrize(
    "settings", [{"send": "tape"}, {"jpeg": 0}, {"jpeg": 101}, {"concurrency": 0}, {"timeout_s": 0}, {"retries": -1},
                 {"timeout_s": float("nan")}],
)  # fmt: skip
def test_numbers_that_make_no_sense(settings: dict) -> None:
    with pytest.raises(UsageError):
        Endpoint("http://h/v1", **settings)


def test_its_identity_is_of_what_can_change_an_answer() -> None:
    plain = Endpoint("http://h/v1")
    others = [{"send": "images"}, {"jpeg": 90}, {"times": True}]
    assert all(Endpoint("http://h/v1", **one).identity != plain.identity for one in others)
    assert Endpoint("http://g/v1").identity != plain.identity
    assert Endpoint("http://h/v1/", concurrency=3, timeout_s=5, retries=1).identity == plain.identity


def test_how_videos_are_sent_in_words() -> None:
    assert Endpoint("http://h/v1").sent("frames") == "frames (PNG)"
    assert Endpoint("http://h/v1", jpeg=90, times=True).sent("images") == "images (JPEG 90, with times)"
    assert Endpoint("http://h/v1", send="file").sent("file") == "file"
