# SPDX-License-Identifier: Apache-2.0
"""What a decoding process does, and when it ends."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import av
import numpy as np
import pytest
from media.rendering import SPECS
from media.spoiling import bad, spoilt
from media.web_server import serving
from PIL import Image

from llava_cli.media import Clip, Sampling, View, load_media
from llava_cli.media.limits import Limits
from llava_cli.media.worker import process
from llava_cli.media.worker.parent import Crashed, Worker
from llava_cli.media.worker.wire import DecoderBug, Request

Rendered = Callable[[str], Path]
VIEW = View((48, 48), "crop", Sampling())


def test_an_error_that_nobody_foresaw_is_a_bug_and_not_the_file_s(
    rendered: Rendered, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spoilt(monkeypatch, "raise LookupError('unforeseen')")
    with Worker() as here, pytest.raises(DecoderBug, match="LookupError: unforeseen"):
        here.load(bad(rendered, tmp_path), VIEW)


def test_what_libraries_print_is_no_answer(rendered: Rendered, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spoilt(monkeypatch, "os.write(1, b'chatter')")
    with Worker() as here:
        assert isinstance(here.load(bad(rendered, tmp_path), VIEW), Clip)


@pytest.mark.parametrize("busy", [False, True])
def test_a_process_ends_when_its_parent_is_gone(
    rendered: Rendered, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, busy: bool
) -> None:
    told = tmp_path / "told"
    spoilt(monkeypatch, f"open({str(told)!r}, 'w').close() or time.sleep(1000)")
    here = Worker()
    process = here._process
    assert process is not None
    if busy:
        with bad(rendered, tmp_path).open() as file:
            process.send(Request(file.name, "bad", VIEW, Limits()).dump(), file.fileno())
        while not told.exists():
            time.sleep(0.01)
    process.hang_up()
    assert process.wait(30) == 0
    here.close()


def test_short_of_memory_the_system_ends_the_decoder_first(worker: Worker) -> None:
    process = worker._started()
    assert Path(f"/proc/{process.pid}/oom_score_adj").read_text() == "1000\n"


def test_what_a_killed_process_was_downloading_is_gone(
    rendered: Rendered, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    with serving() as site, Worker(Limits(urls="any")) as here:
        site.on_request = lambda: os.kill(here._process.pid, signal.SIGKILL)  # type: ignore[union-attr]
        with pytest.raises(Crashed, match="SIGKILL"):
            here.load(site.add("/clip", rendered("h264")), VIEW)
        assert site.requests
    assert not list(tmp_path.iterdir())


def test_the_child_loads_no_model_code_and_nothing_from_the_current_folder(
    rendered: Rendered, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = tmp_path / "told"
    spoilt(
        monkeypatch,
        f"import sys; open({str(told)!r}, 'w').write(str([m for m in ('torch', 'transformers', 'typer') "
        "if m in sys.modules]))",
    )
    (tmp_path / "numpy.py").write_text("raise SystemExit('from the current folder')")
    monkeypatch.chdir(tmp_path)
    with Worker() as here:
        assert isinstance(here.load(bad(rendered, tmp_path), VIEW), Clip)
    assert told.read_text() == "[]"


def test_time_is_given_up_where_the_parent_cannot_take_it() -> None:
    """The process bounds its own use of the processor too."""
    from llava_cli.media.worker import child

    pid = os.fork()
    if not pid:
        with suppress(BaseException):
            import resource

            child._bound_time(Request("", "", VIEW, Limits(timeout=5)))
            soft = resource.getrlimit(resource.RLIMIT_CPU)[0]
            os._exit(0 if 5 < soft < time.process_time() + 20 * (os.cpu_count() or 1) else 1)
        os._exit(2)
    assert os.waitpid(pid, 0)[1] == 0


@pytest.mark.parametrize("spoil", ["c.dump_media = None", "c._bound_time = None"])
def test_a_bug_while_serving_is_not_the_file_s(rendered: Rendered, monkeypatch: pytest.MonkeyPatch, spoil: str) -> None:
    before, after = process.PROGRAM.split("from llava_cli.media.worker.child")
    program = f"{before}import llava_cli.media.worker.child as c; {spoil}; from llava_cli.media.worker.child{after}"
    monkeypatch.setattr(process, "PROGRAM", program)
    with Worker() as here, pytest.raises(DecoderBug, match="TypeError: 'NoneType' object is not callable"):
        here.load(rendered("h264"), VIEW)


STILLS = {
    "JPEG": ["RGB", "L", "CMYK", "YCbCr"], "MPO": ["RGB"], "PNG": ["RGB", "RGBA", "LA", "P", "1", "I;16"],
    "GIF": ["P", "RGBA"], "WEBP": ["RGB", "RGBA"], "AVIF": ["RGB", "RGBA"], "BMP": ["RGB"], "ICO": ["RGBA"],
    "TIFF": ["RGB", "LAB", "RGBA", "CMYK", "I;16", "1"], "PPM": ["RGB", "L"], "JPEG2000": ["RGB", "RGBA"],
}  # fmt: skip


@pytest.mark.parametrize(("kind", "mode"), [(kind, mode) for kind, modes in STILLS.items() for mode in modes])
def test_a_confined_process_has_all_that_each_kind_of_file_takes(
    tmp_path: Path, worker: Worker, kind: str, mode: str
) -> None:
    """It can import nothing any more."""
    exif, more = Image.Exif(), {"save_all": True} if kind in ("GIF", "PNG", "WEBP", "AVIF", "TIFF") else {}
    exif[0x0112] = 6
    picture = Image.new(mode, (32, 32))
    picture.save(tmp_path / "one", kind, exif=exif)
    if more and mode in ("RGB", "RGBA", "P"):
        picture.save(tmp_path / "many", kind, append_images=[picture.rotate(90), picture.rotate(45)], **more)
    for path in sorted(tmp_path.iterdir()):
        here, there = load_media(path, VIEW), worker.load(path, VIEW)
        assert there.info == here.info


@pytest.mark.parametrize("name", sorted(SPECS))
def test_a_confined_process_has_all_that_each_kind_of_video_takes(
    rendered: Rendered, worker: Worker, name: str
) -> None:
    assert worker.load(rendered(name), VIEW).info == load_media(rendered(name), VIEW).info


def test_a_file_with_sound_and_subtitles(tmp_path: Path, worker: Worker) -> None:
    """PyAV imports much of itself when it meets the first."""
    (tmp_path / "x.srt").write_text("1\n00:00:00,000 --> 00:00:01,000\nHello\n")
    with av.open(str(tmp_path / "x.mkv"), "w") as output, av.open(str(tmp_path / "x.srt")) as titles:
        video, sound = output.add_stream("mpeg4", rate=25), output.add_stream("aac", rate=8000)
        text = output.add_stream_from_template(titles.streams[0])
        video.width = video.height = 64
        for number in range(9):
            frame = av.VideoFrame(64, 64, "yuv420p")
            frame.pts = number
            output.mux(video.encode(frame))
        silence = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), "fltp", "mono")
        silence.sample_rate = 8000
        output.mux(sound.encode(silence))
        for packet in titles.demux(titles.streams[0]):
            if packet.size:
                packet.stream = text
                output.mux(packet)
        output.mux(video.encode(None))
        output.mux(sound.encode(None))
    assert worker.load(tmp_path / "x.mkv", VIEW).info == load_media(tmp_path / "x.mkv", VIEW).info
