# SPDX-License-Identifier: Apache-2.0
"""The second decoder agrees with the first, and is never used silently."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pytest
from av.stream import Disposition
from media.rendering import SPECS, marked, read_mark, two_tracks
from PIL import Image

from llava_cli.errors import InputError
from llava_cli.media import Clip, Sampling, View, load_media, opencv, sampler
from llava_cli.media.clip import Fit, Policy
from llava_cli.media.errors import DecoderError
from llava_cli.media.source import Source

Rendered = Callable[[str], Path]
VIEW = View((48, 48), "crop", Sampling())

EIGHT_BIT = sorted(set(SPECS) - {"annex_b", "av1", "hdr", "mirrored", "ten_bit"})
"""OpenCV turns, but does not mirror."""


def both(path: Path, fit: Fit, frames: int = 8) -> tuple[Clip, Clip]:
    # Of OpenCV one cannot learn how long the last frame is shown, which uniform times depend on.
    policy: Policy = "linspace" if path.stem.startswith("vfr") else "uniform"
    source, view = Source(str(path), path.name), View((48, 48), fit, Sampling(policy, frames))
    return sampler.read_clip(source, view), opencv.read_clip(source, view)


@pytest.mark.parametrize("fit", ["full", "crop", "squash"])
@pytest.mark.parametrize("name", EIGHT_BIT)
def test_both_decoders_show_the_same(rendered: Rendered, name: str, fit: Fit) -> None:
    first, second = both(rendered(name), fit)
    assert second.indices == first.indices
    assert second.frames.shape == first.frames.shape
    assert np.abs(first.frames.astype(int) - second.frames).mean() <= 2
    assert [read_mark(frame) for frame in second.frames] == list(first.indices) or fit == "crop"
    assert second.times == pytest.approx(first.times, abs=0.002)
    for fact in ("kind", "width", "height", "rotation"):
        assert getattr(first.info, fact) == getattr(second.info, fact)


def test_it_does_not_show_another_track_than_players_do(tmp_path: Path) -> None:
    two_tracks(tmp_path / "second.mkv", Disposition(0), Disposition.default)
    with pytest.raises(DecoderError, match="several video tracks"):
        opencv.read_clip(Source(str(tmp_path / "second.mkv"), "x"), VIEW)
    two_tracks(tmp_path / "first.mkv", Disposition.default, Disposition(0))
    clip = opencv.read_clip(Source(str(tmp_path / "first.mkv"), "x"), VIEW)
    assert {read_mark(frame) for frame in clip.frames} == {3}


@pytest.fixture
def no_pyav(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise av.error.InvalidDataError(1094995529, "Invalid data found when processing input")

    monkeypatch.setattr(av, "open", refuse)


@pytest.mark.usefixtures("no_pyav")
def test_it_steps_in_where_pyav_fails_and_says_so(rendered: Rendered) -> None:
    clip = load_media(rendered("h264"), VIEW)
    assert isinstance(clip, Clip)
    assert clip.info.decoder == "opencv"
    assert clip.info.warnings[0].startswith("decoded by OpenCV; with PyAV it is no video or image that can be read")
    assert clip.indices == (0, 12, 25, 37, 50, 62, 75, 87)


@pytest.mark.usefixtures("no_pyav")
def test_where_both_fail_the_first_reason_is_given(tmp_path: Path) -> None:
    (tmp_path / "x.mp4").write_bytes(bytes(1000))
    with pytest.raises(InputError, match=r"x\.mp4: is no video or image that can be read \(Invalid data"):
        load_media(tmp_path / "x.mp4", VIEW)


def test_a_playlist_in_disguise_is_not_followed(rendered: Rendered, tmp_path: Path) -> None:
    (tmp_path / "other.mkv").write_bytes(rendered("mkv").read_bytes())
    (tmp_path / "x.mp4").write_text("ffconcat version 1.0\nfile other.mkv\n")
    with pytest.raises(DecoderError):
        opencv.read_clip(Source(str(tmp_path / "x.mp4"), "x.mp4"), VIEW)


def test_a_percent_in_a_name_is_no_series(rendered: Rendered, tmp_path: Path) -> None:
    path = tmp_path / "a%d.mp4"
    path.write_bytes(rendered("h264").read_bytes())
    assert opencv.read_clip(Source(str(path), path.name), VIEW).indices[1] == 12
    for index in range(3):
        Image.fromarray(marked(index, 64, 48)).save(tmp_path / f"b{index}.png")
    path = tmp_path / "b%d.png"
    path.write_bytes(bytes(100))
    with pytest.raises(DecoderError):
        opencv.read_clip(Source(str(path), path.name), VIEW)


def test_a_name_that_is_no_text_does_not_crash_the_process(rendered: Rendered, tmp_path: Path) -> None:
    """OpenCV ends the whole process over such a name when it comes as str."""
    path = bytes(tmp_path) + b"/bad\xff\n.mp4"
    Path(path.decode(errors="surrogateescape")).write_bytes(rendered("h264").read_bytes())
    code = (
        "import sys, os; from llava_cli.media import opencv, View, Sampling; from llava_cli.media.source import Source;"
        f"p = os.fsdecode({path!r});"
        "print(opencv.read_clip(Source(p, p), View((48, 48), 'crop', Sampling())).indices)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "(0, 12, 25, 37, 50, 62, 75, 87)\n"), done.stderr
    assert done.stderr == ""
