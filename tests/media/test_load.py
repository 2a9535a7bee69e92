# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import os
import random
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from media.rendering import marked
from PIL import Image

from llava_cli.errors import InputError, UsageError
from llava_cli.media import Clip, Sampling, Still, View, load_media

Rendered = Callable[[str], Path]
VIEW = View((48, 48), "crop", Sampling())


@pytest.mark.parametrize(
    "name", [b"-x.mp4", b"http:x.mp4", b"a:b.mkv", b"new\nline.mp4", b"%d.mp4", b"\xff\xfe.mp4", "ü 🎞".encode()]
)
def test_names_of_any_bytes(rendered: Rendered, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: bytes) -> None:
    monkeypatch.chdir(tmp_path)
    whole = load_media(rendered("h264"), VIEW)
    assert isinstance(whole, Clip)
    Path(os.fsdecode(name)).write_bytes(rendered("h264").read_bytes())
    for path in (name, os.fsdecode(name), tmp_path / os.fsdecode(name)):
        clip = load_media(path, VIEW)
        assert isinstance(clip, Clip)
        assert clip.info.path == os.fsdecode(path)
        assert clip.info.decoder == "pyav"
        assert np.array_equal(clip.frames, whole.frames)


def test_the_content_tells_the_kind_not_the_name(rendered: Rendered, tmp_path: Path) -> None:
    (tmp_path / "x.png").write_bytes(rendered("mkv").read_bytes())
    Image.fromarray(marked(1, 64, 48)).save(tmp_path / "x.mp4", format="PNG")
    assert isinstance(load_media(tmp_path / "x.png", VIEW), Clip)
    assert isinstance(load_media(tmp_path / "x.mp4", VIEW), Still)


def test_standard_input(rendered: Rendered, monkeypatch: pytest.MonkeyPatch) -> None:
    with rendered("h264").open() as file:
        monkeypatch.setattr(sys, "stdin", file)
        clip = load_media("-", VIEW)
    assert isinstance(clip, Clip)
    assert clip.info.path == "-"
    assert clip.indices == (0, 12, 25, 37, 50, 62, 75, 87)


def test_a_pipe(rendered: Rendered, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    writer = threading.Thread(target=(tmp_path / "pipe").write_bytes, args=(rendered("h264").read_bytes(),))
    writer.start()
    assert isinstance(load_media(tmp_path / "pipe", VIEW), Clip)
    writer.join()


@pytest.mark.parametrize(
    "content",
    [
        b"x",
        b"hello\n" * 100,
        bytes(5000),
        b"#EXTM3U\n#EXTINF:1,\nother.ts\n",
        b"GIF89a",
        b"\x89PNG\r\n\x1a\n",
        b"RIFF",
        b"FLV\x01",
    ],
)
def test_what_is_no_media_is_one_clear_line(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x.mp4").write_bytes(content)
    with pytest.raises(InputError, match=r"^\S*x\.mp4: is \w+ .*read") as caught:
        load_media(tmp_path / "x.mp4", VIEW)
    assert "\n" not in str(caught.value)


def test_sound_alone_is_no_video(tmp_path: Path) -> None:
    import av

    path = tmp_path / "x.mka"
    with av.open(str(path), "w") as output:
        stream = output.add_stream("pcm_s16le", rate=8000)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 800), np.int16), "s16", "mono")
        frame.rate, frame.pts = 8000, 0
        output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    with pytest.raises(InputError, match="has no video stream"):
        load_media(path, VIEW)


def test_senseless_sampling_is_refused_before_anything_is_read() -> None:
    with pytest.raises(UsageError):
        load_media("none.mp4", View((48, 48), "crop", Sampling(frames=0)))


def test_an_empty_span_names_the_file(rendered: Rendered) -> None:
    with pytest.raises(InputError, match=r"h264\.mp4: no frame between"):
        load_media(rendered("h264"), View((48, 48), "crop", Sampling(start=100)))


def test_too_little_memory_is_said(rendered: Rendered, monkeypatch: pytest.MonkeyPatch) -> None:
    def explode(*_: object) -> None:
        raise MemoryError

    monkeypatch.setattr("llava_cli.media.scaler.FrameScaler.__call__", explode)
    with pytest.raises(InputError, match="too large to decode in memory; ask for fewer frames"):
        load_media(rendered("h264"), VIEW)


@pytest.mark.parametrize("name", ["h264", "mkv", "vp9", "mpegts", "avi", "fragmented", "hevc"])
def test_broken_files_end_in_frames_or_in_one_error(rendered: Rendered, tmp_path: Path, name: str) -> None:
    """Damages each kind of file in many places: whatever comes of it, it is a clip or an InputError."""
    whole, luck = rendered(name).read_bytes(), random.Random(name)
    path = tmp_path / "x"
    for _ in range(20):
        data = bytearray(whole[: luck.randrange(len(whole))] if luck.random() < 0.4 else whole)
        for _ in range(luck.choice([0, 1, 10, 200])):
            data[luck.randrange(len(data))] = luck.randrange(256)
        path.write_bytes(data or b"x")
        with suppress(InputError):
            clip = load_media(path, VIEW)
            assert isinstance(clip, Clip)
            assert len(clip.frames) >= 1
