# SPDX-License-Identifier: Apache-2.0
"""What man/llava-media.7 promises, sentence by sentence. Each test repeats the one that it checks.

More of each is in this folder's other tests; here it is checked from the outside, through `load_media`.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from threading import Thread

import av
import numpy as np
import pytest
from media.rendering import SPECS, marked, read_mark, remux, render, two_tracks, x264
from media.spoiling import bad, spoilt
from media.web_server import serving
from PIL import Image
from promises import noted_in

from llava_cli.errors import InputError, UsageError
from llava_cli.media import Clip, Sampling, View, load_media, opencv, sampler
from llava_cli.media.clip import Fit, Pixels
from llava_cli.media.geometry import from_display_matrix
from llava_cli.media.limits import Limits
from llava_cli.media.reader import Reader
from llava_cli.media.scaler import FrameScaler
from llava_cli.media.source import Source
from llava_cli.media.worker.parent import Worker
from llava_cli.media.worker.pool import DecodePool

Rendered = Callable[[str], Path]
PAGE = Path(__file__).parents[2] / "man" / "llava-media.7"
EXPECTED: dict[str, list[tuple[int, float, str]]] = json.loads(
    (Path(__file__).parents[1] / "data" / "frames.json").read_text()
)
CHECKED: list[str] = []
promise = noted_in(CHECKED)


def load(path: Path, frames: int = 8, fit: Fit = "full", **options: object) -> Clip:
    clip = load_media(path, View((48, 48), fit, Sampling(frames=frames)), **options)  # type: ignore[arg-type]
    assert isinstance(clip, Clip)
    return clip


def marks(clip: Clip) -> list[int]:
    return [read_mark(frame) for frame in clip.frames]


def fingerprint(pixels: np.ndarray) -> str:
    """Which of 12x8 parts of a picture are bright: the same for every encoder, decoder and scaler."""
    small = Image.fromarray(pixels).convert("L").resize((12, 8), Image.Resampling.BOX)
    return np.packbits(np.asarray(small) > 125).tobytes().hex()


def test_every_promise_is_checked_and_every_check_is_of_a_promise() -> None:
    page = PAGE.read_text().split(".SH PROMISES\n")[1].split(".SH ")[0]
    promises = re.findall(r"^\.IP \d+\. 4\n(.+)$", page, re.MULTILINE)
    assert [words.replace("\\-", "-") for words in promises] == CHECKED


@promise("A sampled frame is, byte for byte, the one that decoding the file from its start gives at that place.")
@pytest.mark.parametrize("name", SPECS)
def test_bytes(rendered: Rendered, name: str) -> None:
    path = rendered(name)
    with av.open(str(path)) as container:
        truth = list(container.decode(container.streams.video[0]))
    with Reader(Source(str(path), "x")) as reader:
        scale = FrameScaler(View((48, 48), "squash", Sampling()), reader.stream.sample_aspect_ratio)
    clip = load(path, 11, "squash")
    for index, frame in zip(clip.indices, clip.frames, strict=True):
        assert np.array_equal(frame, scale(index, 0.0, truth[index]).pixels)


@promise(
    "It makes no difference how the file is laid out: closed or open groups of pictures, B-frames, intra refresh, "
    "a varying rate, fragments, an index or none, a frame count or none."
)
@pytest.mark.parametrize("name", sorted(EXPECTED))
def test_layouts(rendered: Rendered, name: str) -> None:
    """The list says which frames, at which times, and what is on them."""
    clip = load(rendered(name), 6)
    found = [(index, fingerprint(frame)) for index, frame in zip(clip.indices, clip.frames, strict=True)]
    assert found == [(index, known) for index, _, known in EXPECTED[name]]
    assert clip.times == pytest.approx([time for _, time, _ in EXPECTED[name]], abs=0.0011)


def test_the_list_has_every_kind_of_file() -> None:
    assert set(EXPECTED) == set(SPECS) - {"hdr"}


@promise("A file that starts late has its first frame at time 0, and frames that an edit list hides do not count.")
def test_starts(rendered: Rendered, tmp_path: Path) -> None:
    assert load(rendered("delayed")).times[0] == 0
    render(replace(SPECS["h264"], first=-10, frames=60), tmp_path / "hidden.mp4")
    clip = load(tmp_path / "hidden.mp4", 100)
    assert clip.times[0] == 0
    assert len(clip.indices) == 50
    assert marks(clip) == list(range(10, 60))


@promise(
    "No frame is given twice; a file with fewer frames than were asked for gives each of its frames once, "
    "with a warning; a range in which no frame begins gives the one on screen."
)
@pytest.mark.parametrize("name", ["one_frame", "rotated_90", "vfr", "annex_b"])
def test_repeats(rendered: Rendered, name: str) -> None:
    clip = load(rendered(name), 100)
    assert list(clip.indices) == list(range(SPECS[name].frames))
    assert any("frames asked for" in warning for warning in clip.info.warnings)
    on_screen = load_media(rendered(name), View((48, 48), "full", Sampling(start=0.01, end=0.02)))
    assert on_screen.indices == (0,)
    assert any("the one on screen is shown" in warning for warning in on_screen.info.warnings)


@promise("The number of threads changes no byte.")
@pytest.mark.parametrize("name", ["h264", "one_group", "hevc", "mpegps", "annex_b"])
def test_threads(rendered: Rendered, name: str) -> None:
    one, many = (load(rendered(name), 16, threads=threads) for threads in (1, 7))
    assert np.array_equal(one.frames, many.frames)


@promise("PyAV decodes; OpenCV does where PyAV cannot, and the record and a warning say so.")
def test_which_decoder(rendered: Rendered, monkeypatch: pytest.MonkeyPatch) -> None:
    assert load(rendered("h264")).info.decoder == "pyav"

    def refuse(*_: object, **__: object) -> None:
        raise av.error.InvalidDataError(1094995529, "made to fail")

    monkeypatch.setattr(av, "open", refuse)
    clip = load(rendered("h264"))
    assert clip.info.decoder == "opencv"
    assert any("decoded by OpenCV" in warning for warning in clip.info.warnings)
    assert marks(clip) == list(clip.indices)


@promise(
    "For 8-bit video of standard range both pick the same frames, turned the same way, and their pixels, in full size, "
    "differ by 2 levels of 255 on average or less."
)
@pytest.mark.parametrize("name", ["h264", "vp9", "mpegts", "rotated_90", "wide_rotated", "mkv_without_index"])
def test_two_decoders(rendered: Rendered, name: str) -> None:
    source, view = Source(str(rendered(name)), "x"), View((48, 48), "full", Sampling(frames=5))
    first, second = sampler.read_clip(source, view), opencv.read_clip(source, view)
    assert first.indices == second.indices
    assert first.info.rotation == second.info.rotation
    assert np.abs(first.frames.astype(int) - second.frames).mean() <= 2


@promise("Frames are upright: rotation and mirroring that the file asks for are applied.")
@pytest.mark.parametrize("name", ["rotated_90", "rotated_180", "rotated_270", "mirrored"])
def test_upright(rendered: Rendered, name: str) -> None:
    clip = load(rendered(name))
    assert marks(clip) == list(clip.indices)
    assert clip.frames.shape[1:3] == (48, 64)


@promise("A rotation that is no quarter turn is ignored.")
def test_odd_rotations(tmp_path: Path) -> None:
    render(replace(SPECS["h264"], frames=10, rotation=0), tmp_path / "x.mp4")
    whole = (tmp_path / "x.mp4").read_bytes()
    quarter = np.array([0, 1 << 16, 0, -(1 << 16), 0, 0, 0, 0, 1 << 30], ">i4").tobytes()
    skewed = np.array([46341, 46341, 0, -46341, 46341, 0, 0, 0, 1 << 30], ">i4").tobytes()
    absurd = np.array([-(1 << 31), 1 << 30, 7, 12345, 0, 0, -9, 0, 1], ">i4").tobytes()
    upright = np.array([1 << 16, 0, 0, 0, 1 << 16, 0, 0, 0, 1 << 30], ">i4").tobytes()
    place = whole.index(upright, whole.index(b"tkhd"))
    turned = {}
    for name, matrix in (("quarter", quarter), ("skewed", skewed), ("absurd", absurd)):
        path = tmp_path / f"{name}.mp4"
        path.write_bytes(whole[:place] + matrix + whole[place + 36 :])
        turned[name] = load(path).info.rotation
    assert turned == {"quarter": 90, "skewed": 0, "absurd": 0}
    assert from_display_matrix(b"\x00" * 36).degrees == 0


@promise("Pixels that are not square are stretched to the shape in which they are displayed.")
def test_pixel_shape(rendered: Rendered) -> None:
    assert load(rendered("wide_pixels")).frames.shape[1:3] == (48, 128)
    clip = load(rendered("wide_rotated"))
    assert clip.frames.shape[1:3] == (clip.info.height, clip.info.width)
    assert marks(clip) == list(clip.indices)


@promise("Of several video tracks the one that players show is read, and never the picture of a cover.")
def test_tracks(tmp_path: Path) -> None:
    from av.stream import Disposition

    two_tracks(tmp_path / "x.mkv", Disposition(0), Disposition.default)
    assert set(marks(load(tmp_path / "x.mkv"))) == {7}
    two_tracks(tmp_path / "y.mkv", Disposition.attached_pic, Disposition(0))
    with av.open(str(tmp_path / "y.mkv")) as container:
        covers = [bool(track.disposition & Disposition.attached_pic) for track in container.streams.video]
    assert set(marks(load(tmp_path / "y.mkv"))) == ({7} if any(covers) else {3})


@promise(
    "Packets that cannot be decoded are passed over and listed in a warning; what comes after them is sampled as usual."
)
def test_damage(rendered: Rendered, tmp_path: Path) -> None:
    path = tmp_path / "x.mp4"
    remux(rendered("h264"), path, lambda i, data: b"\0\0\0\1\x09" + b"\xff" * 20 if 30 <= i < 36 else data)
    clip = load(path, 100)
    assert any(re.search(r"damaged: \d+ packets", warning) for warning in clip.info.warnings)
    assert marks(clip)[-20:] == list(range(80, 100))


@promise("A file that is shorter than it claims is sampled over what there is, with a warning.")
@pytest.mark.parametrize("name", ["vp9", "mkv", "mp4"])
def test_cut_short(rendered: Rendered, tmp_path: Path, name: str) -> None:
    path = tmp_path / "whole"
    if name == "mp4":
        path = path.with_suffix(".mp4")
        remux(rendered("h264"), path, lambda i, data: data, movflags="faststart")
    else:
        path = rendered(name)
    short = tmp_path / "short"
    short.write_bytes(path.read_bytes()[: path.stat().st_size * 55 // 100])
    clip = load(short)
    assert marks(clip) == list(clip.indices)
    assert 10 < clip.indices[-1] < 75
    assert any("cut short" in warning for warning in clip.info.warnings)


@promise("Where not one frame can be decoded there is an error, and no answer.")
def test_nothing_to_show(rendered: Rendered, tmp_path: Path) -> None:
    remux(rendered("h264"), tmp_path / "x.mp4", lambda i, data: b"\xff" * 24)
    with pytest.raises(InputError, match="none of which can be decoded"):
        load(tmp_path / "x.mp4")


@promise("More than 8 bits are reduced to 8; HDR is shown without tone mapping, with a warning.")
def test_colour(rendered: Rendered) -> None:
    deep = load(rendered("ten_bit"))
    assert marks(deep) == list(deep.indices)
    truth = np.stack([marked(index, 64, 48) for index in deep.indices])
    assert np.abs(deep.frames.astype(int) - truth).mean() < 12
    hdr = load(rendered("hdr"))
    assert hdr.frames.dtype == np.uint8
    assert any("without tone mapping" in warning for warning in hdr.info.warnings)


PEAK = """
import sys
from llava_cli.media import load_media, View, Sampling
import llava_cli.media.sampler, llava_cli.media.picture
def high():
    return next(int(l.split()[1]) for l in open("/proc/self/status") if l.startswith("VmHWM"))
before = high()
view = View((96, 96), "crop", Sampling(frames=int(sys.argv[2])), pixels=sys.argv[3])
clip = load_media(sys.argv[1], view, threads=1)
print(len(clip.frames), before, high())
"""


def peak(path: Path, frames: int, pixels: Pixels) -> int:
    """KiB that reading takes in a process of its own, above what the libraries take."""
    done = subprocess.run(
        [sys.executable, "-c", PEAK, path, str(frames), pixels], capture_output=True, text=True, check=True, timeout=300
    )
    count, before, after = map(int, done.stdout.split())
    assert count == frames
    return after - before


@promise(
    "The frames asked for are held in the size in which the model sees them, however large the video and however "
    "long it is."
)
def test_memory_of_large_frames(tmp_path: Path) -> None:
    width, height, kib = 7680, 4320, 7680 * 4320 * 3 // 2 // 1024
    with av.open(str(tmp_path / "8k.mp4"), "w") as output:
        fast = {"preset": "ultrafast", "g": "2", "bf": "0", "threads": "1", "x264-params": "rc-lookahead=0:ref=1"}
        stream = output.add_stream("libx264", rate=25, options=fast)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for index in range(12):
            frame = av.VideoFrame(width, height, "yuv420p")
            for plane in frame.planes:
                plane.update(bytes([20 * index]) * plane.buffer_size)
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    in_rgb = width * height * (3 + 4) // 1024
    rooms: dict[Pixels, int] = {"fast": 6 * kib, "exact": 6 * kib + in_rgb}
    for pixels, room in rooms.items():
        few, many = (peak(tmp_path / "8k.mp4", frames, pixels) for frames in (4, 12))
        assert many - few < kib, "eight more frames take less than one of them in full size"
        assert many < room, "the decoder's own pictures, and where pixels are exact one on its way to Pillow"


@pytest.mark.parametrize("name", ["one_group", "annex_b", "mkv_without_index"])
def test_memory_of_long_videos(rendered: Rendered, tmp_path: Path, name: str) -> None:
    peaks = []
    for frames in (20, 200):
        path = tmp_path / f"{frames}{SPECS[name].suffix}"
        render(replace(SPECS[name], options=x264(250), frames=frames, size=(640, 480)), path)
        peaks.append(peak(path, 4, "exact"))
    assert peaks[1] - peaks[0] < 30 * 450, f"180 more frames of 450 KiB: {peaks}"


@promise("A limit is checked before the work that it bounds, and its error names the option that lifts it.")
def test_limits(rendered: Rendered, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputError, match="--max-pixels"):
        load(rendered("h264"), limits=Limits(max_pixels=3000))
    with pytest.raises(InputError, match="--max-walk"):
        load(rendered("annex_b"), limits=Limits(max_walk=10))
    assert len(load(rendered("h264"), limits=Limits(max_walk=10)).frames) == 8
    pictures = [Image.fromarray(marked(index, 64, 48)) for index in range(12)]
    pictures[0].save(tmp_path / "x.gif", save_all=True, append_images=pictures[1:])
    with pytest.raises(InputError, match="--max-walk"):
        load(tmp_path / "x.gif", limits=Limits(max_walk=10))
    with pytest.raises(InputError, match="--max-pixels"):
        load(tmp_path / "x.gif", limits=Limits(max_pixels=3000))
    with pytest.raises(UsageError, match="--frames"):
        load(rendered("h264"), 10**9)
    with serving() as site, pytest.raises(InputError, match="--max-bytes"):
        load_media(
            site.add("/x", rendered("h264")),
            View((48, 48), "crop", Sampling()),
            limits=Limits(max_bytes=1000, urls="any"),
        )
    with Path(rendered("h264")).open() as stream:
        monkeypatch.setattr(sys, "stdin", stream)
        with pytest.raises(InputError, match="--max-bytes"):
            load(Path("-"), limits=Limits(max_bytes=1000))


@promise(
    "A file is decoded in a process of its own: one that crashes or hangs the decoder, or takes too much memory, is an "
    "error of that file."
)
@pytest.mark.parametrize(
    ("statement", "message"),
    [
        ("os.kill(os.getpid(), signal.SIGSEGV)", "the decoder crashed on"),
        ("time.sleep(1000)", "--timeout"),
        ("hoard = bytearray(b'x' * (600 << 20)); time.sleep(1000)", "--max-memory"),
    ],
)
def test_isolation(
    rendered: Rendered, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, statement: str, message: str
) -> None:
    spoilt(monkeypatch, statement)
    limits = Limits(timeout=3, max_memory=500 << 20)
    with Worker(limits) as worker, pytest.raises(InputError, match=message):
        worker.load(bad(rendered, tmp_path), View((48, 48), "crop", Sampling()))


@promise(
    "A file is only what its content says: a playlist or a script under another name has no other file read, and "
    "nothing from the network."
)
@pytest.mark.parametrize(
    "script",
    [
        "ffconcat version 1.0\nfile other.mkv\n",
        "#EXTM3U\n#EXT-X-TARGETDURATION:3\n#EXTINF:3,\nother.mkv\n#EXT-X-ENDLIST\n",
        '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static"><Period/></MPD>',
        "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video 5004 RTP/AVP 96\n",
        "[playlist]\nFile1=other.mkv\nNumberOfEntries=1\n",
        "color=red:size=64x48\n",
        '<svg xmlns="http://www.w3.org/2000/svg"><image href="other.mkv"/></svg>',
    ],
)
@pytest.mark.parametrize("suffix", [".mp4", ".ffconcat", ".m3u8", ".sdp", ".mpd"])
def test_disguises(rendered: Rendered, tmp_path: Path, script: str, suffix: str) -> None:
    (tmp_path / "other.mkv").write_bytes(rendered("mkv").read_bytes())
    (tmp_path / f"x{suffix}").write_text(script)
    with pytest.raises(InputError):
        load(tmp_path / f"x{suffix}")


@promise(
    "A file's name is never taken for an option, a protocol or a pattern; only http://, https:// and hf:// at its "
    "start make a URL."
)
@pytest.mark.parametrize(
    "name",
    [
        "-x.mp4",
        "http:x.mp4",
        "hf:x.mp4",
        "concat:a|b",
        "pipe:0",
        "a:b.mkv",
        "%03d.mp4",
        "*.mp4",
        "x\n.mp4",
        "\udcff.mp4",
    ],
)
def test_names(rendered: Rendered, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.chdir(tmp_path)
    Path(name).write_bytes(rendered("h264").read_bytes())
    assert len(load(Path(name)).frames) == 8


@promise("Only regular files are read; pipes and standard input too, but not from lists.")
def test_kinds_of_file(rendered: Rendered, tmp_path: Path) -> None:
    import socket

    with suppress(OSError), socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "socket"))
        with pytest.raises(InputError):
            load(tmp_path / "socket")
    (tmp_path / "link.mp4").symlink_to("/dev/zero")
    for path in (Path("/dev/zero"), tmp_path / "link.mp4", Path("/proc/self/mem"), tmp_path, Path("/dev/null")):
        with pytest.raises(InputError):
            load(path)
    os.mkfifo(tmp_path / "pipe")
    writer = Thread(target=(tmp_path / "pipe").write_bytes, args=(rendered("h264").read_bytes(),))
    writer.start()
    assert len(load(tmp_path / "pipe").frames) == 8
    writer.join()
    for name in (str(tmp_path / "pipe"), "-"):
        assert "is a pipe" in str(from_list(name))


def from_list(name: str) -> object:
    """What comes of a file that a list names."""
    pool = DecodePool(1, Limits(pipes=False))
    try:
        return pool.submit([(name, View((48, 48), "crop", Sampling()))]).exception(60)
    finally:
        pool.close()


@promise("A URL is read only at public addresses, after each redirect too, and always at the address that was checked.")
def test_urls(rendered: Rendered, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pinning is checked in web/test_client.py."""
    with serving() as site:
        url = site.add("/clip", rendered("h264"))
        with pytest.raises(InputError, match="no public address"):
            load_media(url, View((48, 48), "crop", Sampling()), limits=Limits(urls="public"))
        assert not site.requests
        monkeypatch.setattr("llava_cli.media.web.address.is_public", lambda address: address == "127.0.0.1")
        with pytest.raises(InputError, match="no public address"):
            load_media(
                site.add("/out", "http://127.0.0.3/clip"),
                View((48, 48), "crop", Sampling()),
                limits=Limits(urls="public"),
            )


@promise("A list of files has no URL read, and nothing asked of the hub, unless --allow-urls is given.")
def test_urls_in_lists(rendered: Rendered) -> None:
    """What the option does is checked in tests/cli, and that the hub is not asked in web/test_hub.py."""
    assert "--allow-urls" in str(from_list("hf://datasets/a/b/c.mp4"))
    with serving() as site:
        assert "--allow-urls" in str(from_list(site.add("/clip", rendered("h264"))))
        assert not site.requests


def test_a_picture_of_one_pixel(tmp_path: Path) -> None:
    """The smallest video there is, with pixels of a shape, is still shown."""
    with av.open(str(tmp_path / "x.mkv"), "w") as output:
        stream = output.add_stream("ffv1", rate=Fraction(25))
        stream.width, stream.height, stream.pix_fmt = 1, 1, "bgr0"
        for level in (10, 200):
            frame = av.VideoFrame.from_ndarray(np.full((1, 1, 3), level, np.uint8), "rgb24")
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    assert load(tmp_path / "x.mkv").frames[:, 0, 0].tolist() == [[10, 10, 10], [200, 200, 200]]
    assert load(tmp_path / "x.mkv", fit="crop").frames.shape == (2, 48, 48, 3)
