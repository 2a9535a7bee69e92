# SPDX-License-Identifier: Apache-2.0
"""Media as JSON names them: what of a file is to be shown, names of any bytes, and addresses."""

from __future__ import annotations

import pytest

from llava_cli.errors import InputError
from llava_cli.media.clip import Sampling
from llava_cli.media.named import WHOLE, Excerpt, excerpt_of, is_address, path_of
from llava_cli.request import FrameChoice


def test_what_is_not_said_is_left_open():
    assert excerpt_of({"path": "a.mp4", "label": "x", "start": None}) == WHOLE
    said = {"start": "1:30", "end": 100.5, "frames": 4, "sampling": "linspace"}
    assert excerpt_of(said) == Excerpt(90.0, 100.5, 4, None, "linspace")
    assert excerpt_of({"fps": 2}).said == {"fps": 2}


def test_what_is_said_of_one_medium_comes_before_what_holds_for_all():
    for_all = FrameChoice(8, fps=2.0, start=1.0, fast_pixels=True)
    assert WHOLE.over(for_all) == for_all
    assert Excerpt(start=0.0, end=3.0).over(for_all) == FrameChoice(8, fps=2.0, start=0.0, end=3.0, fast_pixels=True)
    assert Excerpt(sampling="linspace").over(for_all) == FrameChoice(8, None, "linspace", 1.0, fast_pixels=True)
    assert Excerpt(fps=1.0).over(Excerpt(1.0, 2.0)) == Excerpt(1.0, 2.0, fps=1.0)


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ({"start": "soon"}, "start must be seconds or h:mm:ss"),
        ({"start": -1}, "start must be seconds or h:mm:ss"),
        ({"end": float("nan")}, "end must be seconds or h:mm:ss"),
        ({"end": 1e300}, "end must be seconds or h:mm:ss"),
        ({"end": 10**400}, "end must be seconds or h:mm:ss"),
        ({"end": True}, "end must be seconds or h:mm:ss"),
        ({"end": 0}, "end must be after start"),
        ({"start": 90, "end": "1:30"}, "end must be after start"),
        ({"frames": 0}, "frames must be a whole number from 1 to"),
        ({"frames": [{"index": 0}]}, "frames must be a whole number from 1 to"),
        ({"fps": 0}, "fps must be a number above 0"),
        ({"fps": 10**400}, "fps must be a number above 0"),
        ({"fps": "2"}, "fps must be a number above 0"),
        ({"sampling": "fps"}, "sampling must be one of uniform"),
        ({"sampling": {"policy": "uniform"}}, "sampling must be one of uniform"),
        ({"sampling": "uniform", "fps": 1}, "sampling must be one of .*, and goes without fps"),
    ],
)
def test_what_makes_no_sense_is_named(said, message):
    with pytest.raises(InputError, match=f"^{message}"):
        excerpt_of(said)


def test_names_of_any_bytes():
    assert path_of({"path": "shown", "path_b64": "Yf8="}) == "a\udcff"
    assert path_of({"path": "a.mp4", "kind": "video"}) == path_of("a.mp4") == "a.mp4"
    assert [path_of(given) for given in ({}, {"path_b64": "?"}, {"path_b64": 1}, 7, None)] == [None] * 5


def test_an_address_is_no_path():
    assert all(map(is_address, ["https://x/y", "HTTP://x", "file:///x", "hf://datasets/x/y/z.mp4"]))
    assert not any(map(is_address, ["a.mp4", "./https://x", "http:x.webm", "/a//b", "//x", "1://x"]))


def test_the_sampling_that_comes_of_it():
    from llava_cli.media.clip import View

    view = View((2, 2), "crop", Sampling("uniform", 8))
    choice = Excerpt(end=2.0, frames=3, sampling="linspace").over(FrameChoice(start=1.0, fps=2.0))
    assert choice.of(view, 64).sampling == Sampling("linspace", 3, None, 1.0, 2.0)
