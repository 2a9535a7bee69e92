# SPDX-License-Identifier: Apache-2.0
"""Files on the web, served by this machine to itself: the same frames, little traffic, only where allowed."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pytest
from media.rendering import marked
from media.spoiling import taken_over
from media.web_server import ANY, VIEW, Site, fails, fetch
from PIL import Image

from llava_cli.errors import InputError
from llava_cli.media import Clip, Sampling, View, load_media
from llava_cli.media.errors import MediaError
from llava_cli.media.limits import Limits
from llava_cli.media.opening import open_source
from llava_cli.media.web import borrowed, ranges
from llava_cli.media.worker.parent import Worker

Rendered = Callable[[str], Path]


@pytest.fixture(scope="session")
def long_video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Noise, which takes much space; the index comes last. FFmpeg reads the first 5 MB of any file when it opens it."""
    path, luck = tmp_path_factory.mktemp("long") / "long.mp4", np.random.default_rng(0)
    with av.open(str(path), "w") as output:
        stream = output.add_stream("libx264", rate=25, options={"g": "10", "qp": "10", "preset": "ultrafast"})
        stream.width, stream.height, stream.pix_fmt = 640, 480, "yuv420p"
        for _ in range(100):
            noise = luck.integers(0, 256, (480, 640, 3), np.uint8)
            output.mux(stream.encode(av.VideoFrame.from_ndarray(noise, "rgb24")))
        output.mux(stream.encode(None))
    return path


@pytest.mark.parametrize("ranges", [True, False])
@pytest.mark.parametrize("name", ["h264", "mkv", "mpegts", "fragmented", "annex_b", "vp9"])
def test_the_frames_are_those_of_the_file(rendered: Rendered, site: Site, name: str, ranges: bool) -> None:
    site.ranges = ranges
    here, there = load_media(rendered(name), VIEW), fetch(site.add("/clip", rendered(name)))
    assert isinstance(here, Clip)
    assert np.array_equal(there.frames, here.frames)
    assert (there.indices, there.times, there.info.warnings) == (here.indices, here.times, here.info.warnings)
    assert there.info.path == f"{site.url}/clip"


def test_a_still(site: Site, tmp_path: Path) -> None:
    Image.fromarray(marked(1, 64, 48)).save(tmp_path / "x.png")
    media = load_media(site.add("/x.png", tmp_path / "x.png"), VIEW, limits=ANY)
    assert media.info.kind == "image"


def test_a_worker_reads_urls_too(rendered: Rendered, site: Site) -> None:
    with Worker(ANY) as worker:
        assert isinstance(worker.load(site.add("/clip", rendered("h264")), VIEW), Clip)
    with Worker() as worker, pytest.raises(InputError, match="--allow-urls"):
        worker.load(f"{site.url}/clip", VIEW)


def test_a_few_frames_of_a_long_video_do_not_cost_the_file(
    long_video: Path, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ranges, "BLOCK", 1 << 14)
    url, size = site.add("/long.mp4", long_video), long_video.stat().st_size
    view = View((48, 48), "crop", Sampling(frames=2))
    there, here = load_media(url, view, limits=ANY), load_media(long_video, view)
    assert isinstance(there, Clip)
    assert isinstance(here, Clip)
    assert np.array_equal(there.frames, here.frames)
    assert site.sent < size / 3, f"{site.sent} of {size} bytes in {len(site.requests)} requests"


def test_nothing_is_downloaded_twice(rendered: Rendered, site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ranges, "BLOCK", 1 << 10)
    fetch(site.add("/clip", rendered("mkv")))
    assert site.sent <= rendered("mkv").stat().st_size


@pytest.mark.parametrize("ranges", [True, False])
def test_the_limit_on_bytes_holds_while_downloading(rendered: Rendered, site: Site, ranges: bool) -> None:
    site.ranges = ranges
    url, size = site.add("/clip", rendered("mkv")), rendered("mkv").stat().st_size
    fetch(url, Limits(urls="any", max_bytes=size))
    site.sent = 0
    fails(url, f"larger than the {size - 1} bytes .*--max-bytes", Limits(urls="any", max_bytes=size - 1))


def test_a_server_that_does_not_say_how_much_it_sends(rendered: Rendered, site: Site) -> None:
    site.ranges = False
    url = site.add("/clip", rendered("mkv"))
    with ranges.open_url(url, ANY) as source, source.open() as file:
        assert file.read() == rendered("mkv").read_bytes()


def test_a_file_that_changes_while_it_is_read(rendered: Rendered, site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ranges, "BLOCK", 1 << 10)
    with ranges.open_url(site.add("/clip", rendered("h264")), ANY) as source, source.open() as file:
        site.tag = '"2"'
        file.seek(3000)
        with pytest.raises(MediaError, match="was replaced on its server"):
            file.read(1)


def test_a_server_that_does_not_know_if_range(rendered: Rendered, site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(borrowed, "BLOCK", 1 << 10)
    monkeypatch.setattr(ranges, "BLOCK", 1 << 10)
    site.knows_if_range = False
    with ranges.open_url(site.add("/clip", rendered("h264")), ANY) as source, source.open() as file:
        site.tag = '"2"'
        file.seek(3000)
        with pytest.raises(MediaError, match="was replaced on its server"):
            file.read(1)


def test_numbers_that_no_file_has(rendered: Rendered, site: Site) -> None:
    url = site.add("/clip", rendered("h264"))
    for number in ("9" * 5000, "-1", "0x10", "\u0663"):
        site.content_range = f"bytes 0-{number}/{number}".encode().decode("latin-1")
        fails(url, "not given by its server as asked for")


@pytest.mark.parametrize("raw", [b"<html>no HTTP\x1b]52;c;aGk=\x07 at all", b"\x1b[31mred\r\n\r\n", b""])
def test_what_is_no_http_is_not_repeated(site: Site, raw: bytes) -> None:
    site.raw = raw
    fails(f"{site.url}/x", r"cannot be downloaded: (what its server says is not HTTP|its server broke off)$")
    site.raw = b"HTTP/1.1 404 \x1b[31mgone\r\nContent-Length: 0\r\n\r\n"
    fails(f"{site.url}/x", r"is not given by its server: status 404 \(Not Found\)$")


@pytest.mark.parametrize("worker", [False, True])
def test_a_refusal_on_the_way_is_one_line(
    long_video: Path, site: Site, worker: bool, capfd: pytest.CaptureFixture[str]
) -> None:
    """PyAV prints each error of a file object that comes before it has told the one before."""
    url, limits = site.add("/long.mp4", long_video), Limits(urls="any", max_bytes=1 << 19)
    if worker:
        with Worker(limits) as here, pytest.raises(InputError, match=r"^http\S+: is larger than .*--max-bytes"):
            here.load(url, VIEW)
    else:
        fails(url, "larger than .*--max-bytes", limits)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("ranges", [True, False])
def test_what_pyav_cannot_read_opencv_reads_from_the_web_too(
    rendered: Rendered, site: Site, ranges: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise av.error.InvalidDataError(1094995529, "made to fail")

    site.ranges = ranges
    monkeypatch.setattr(av, "open", refuse)
    there, here = fetch(site.add("/clip", rendered("h264"))), load_media(rendered("h264"), VIEW)
    assert isinstance(here, Clip)
    assert there.info.decoder == here.info.decoder == "opencv"
    assert np.array_equal(there.frames, here.frames)


def test_a_worker_falls_back_on_opencv_for_urls(
    rendered: Rendered, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    refuse = "import av\ndef refuse(*_, **__): raise av.error.InvalidDataError(1094995529, 'no')\nav.open = refuse"
    taken_over(monkeypatch, f"exec({refuse!r}, {{}})")
    with Worker(ANY) as here:
        clip = here.load(site.add("/clip", rendered("h264")), VIEW)
    assert clip.info.decoder == "opencv"


def test_an_answer_cut_short(rendered: Rendered, site: Site) -> None:
    url = site.add("/clip", rendered("h264"))
    site.ranges, site.cut_after = False, 1000
    fails(url, "cannot be downloaded|ended before all")


def test_a_part_cut_short_is_asked_for_again(rendered: Rendered, site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ranges, "BLOCK", 1 << 11)
    with ranges.open_url(site.add("/clip", rendered("h264")), ANY) as source, source.open() as file:
        site.cut_after = 100
        assert file.read() == rendered("h264").read_bytes()


def test_what_no_server_gives(site: Site, rendered: Rendered) -> None:
    fails(f"{site.url}/none", "404")
    fails(site.add("/empty", b""), "is empty")
    fails(site.add("/text", b"hello" * 1000), "no video or image")
    fails("http://127.0.0.1:1/x", "cannot be reached")
    fails("http://user:secret@127.0.0.1/x", "never sent")
    fails("http://", "no URL")
    fails("https://exa mple.org/x", "must be quoted|no URL")
    fails("http://127.0.0.1:99999/x", "no URL")


def test_a_playlist_from_the_web_is_not_followed(site: Site) -> None:
    site.add("/other.ts", b"x")
    fails(site.add("/x.mp4", f"#EXTM3U\n#EXTINF:1,\n{site.url}/other.ts\n".encode()), "no video or image")
    assert len(site.requests) == 1


def test_nothing_stays_behind(rendered: Rendered, site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    fetch(site.add("/clip", rendered("h264")))
    fails(f"{site.url}/none", "404")
    assert not list(tmp_path.iterdir())


def test_an_open_url_is_asked_for_when_it_is_decoded_and_only_once(rendered: Rendered, site: Site) -> None:
    with open_source(site.add("/clip", rendered("h264")), ANY) as source:
        assert not site.requests
        first = load_media(source, VIEW)
        asked = len(site.requests)
        assert load_media(source, VIEW).info == first.info
        assert len(site.requests) == asked
        with Worker(ANY) as worker:
            assert worker.load(source, VIEW).info == first.info
