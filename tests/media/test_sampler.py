# SPDX-License-Identifier: Apache-2.0
"""The sampler gives exactly the frames that decoding everything gives."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import pytest
from media.linear import wrong
from media.reading import decode_everything, sample, source
from media.rendering import IRREGULAR, JITTERY, SPECS, read_mark, remux, render

from llava_cli.media import sampler
from llava_cli.media.clip import Sampling, View
from llava_cli.media.errors import DecoderError, MediaError, SeekError
from llava_cli.media.limits import DEFAULT
from llava_cli.media.reader import Reader
from llava_cli.media.scaler import FrameScaler
from llava_cli.media.table import from_packets
from llava_cli.media.video import frame_table

Rendered = Callable[[str], Path]


def expected_indices(total: int, frames: int) -> list[int]:
    return sorted(set(np.arange(0, total, total / frames).astype(int)[:frames].tolist()))


FROM_THE_START = {"annex_b", "avi_h264"}
VARYING = {"vfr", "vfr_mkv"}


@pytest.mark.parametrize("name", SPECS)
def test_every_kind_of_file_gives_the_frames_of_a_linear_decode(rendered: Rendered, name: str) -> None:
    path = rendered(name)
    truth = decode_everything(path)
    assert len(truth) == SPECS[name].frames
    for fit in ("full", "crop"):
        for frames in (1, 3, 8, 16, 64):
            clip = sample(path, frames, fit)
            if name not in VARYING:
                assert list(clip.indices) == expected_indices(len(truth), frames)
            with Reader(source(path)) as reader:
                scale = FrameScaler(View((48, 48), fit, Sampling()), reader.stream.sample_aspect_ratio)
            for place, index in enumerate(clip.indices):
                assert np.array_equal(clip.frames[place], scale(index, 0.0, truth[index]).pixels), (fit, frames, index)


@pytest.mark.parametrize("name", sorted(set(SPECS) - {"hdr"}))
def test_the_frames_carry_their_own_index(rendered: Rendered, name: str) -> None:
    clip = sample(rendered(name), 16)
    assert [read_mark(frame) for frame in clip.frames] == list(clip.indices)


@pytest.mark.parametrize("name", ["h264", "open_gop", "hevc", "mpegts", "vp9", "av1"])
def test_every_single_frame_can_be_reached(rendered: Rendered, name: str) -> None:
    path = rendered(name)
    for index in range(SPECS[name].frames):
        with Reader(source(path)) as reader:
            table = frame_table(reader)
            [(found, frame)] = reader.frames_of(table, table.group_of(index), [index])
            assert found == index
            assert read_mark(frame.to_ndarray(format="rgb24")) == index


@pytest.mark.parametrize("name", sorted(set(SPECS) - FROM_THE_START))
def test_seeking_is_trusted(rendered: Rendered, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("decoded from the start")

    monkeypatch.setattr(sampler, "_read_linear", refuse)
    sample(rendered(name))


def test_files_without_stamps_are_decoded_from_the_start(rendered: Rendered) -> None:
    with Reader(source(rendered("annex_b"))) as reader, pytest.raises(SeekError):
        from_packets(reader.stream, reader.packets())


def test_only_the_wanted_chains_are_decoded(rendered: Rendered, monkeypatch: pytest.MonkeyPatch) -> None:
    fed = []
    decode = Reader._decode
    monkeypatch.setattr(Reader, "_decode", lambda self, packet: fed.append(packet) or decode(self, packet))
    sample(rendered("h264"), 1)
    assert sum(packet is not None for packet in fed) == 1


@pytest.mark.parametrize("name", ["h264", "delayed", "mpegts", "mkv"])
def test_times_count_from_the_first_frame(rendered: Rendered, name: str) -> None:
    clip = sample(rendered(name), 8, start=1.0)
    rate = float(SPECS[name].rate)
    assert clip.times == pytest.approx([index / rate for index in clip.indices], abs=0.001)
    assert clip.times[0] >= 1.0 - 0.001
    assert clip.info.duration == pytest.approx(SPECS[name].frames / rate, abs=0.003)


@pytest.mark.parametrize("name", ["vfr", "vfr_mkv"])
def test_a_varying_rate_is_sampled_by_time(rendered: Rendered, name: str) -> None:
    clip = sample(rendered(name), 8)
    duration = clip.info.duration
    assert duration is not None
    expected = [sum(stamp / 1000 <= i * duration / 8 + 1e-4 for stamp in IRREGULAR) - 1 for i in range(8)]
    assert list(clip.indices) == expected
    assert clip.times == pytest.approx([IRREGULAR[index] / 1000 for index in clip.indices], abs=0.001)


def test_jitter_is_counted_through_but_not_at_the_bounds(rendered: Rendered) -> None:
    path = rendered("jitter")
    assert list(sample(path, 8).indices) == expected_indices(60, 8)
    for start in range(0, 2000, 40):
        expected = [index for index, stamp in enumerate(JITTERY) if stamp >= start]
        assert list(sample(path, 100, start=start / 1000).indices) == expected


def test_start_and_end_bound_the_frames(rendered: Rendered) -> None:
    clip = sample(rendered("h264"), 5, start=1.0, end=2.0)
    assert clip.indices == (25, 30, 35, 40, 45)
    assert sample(rendered("h264"), 64, start=1.0, end=1.2).indices == (25, 26, 27, 28, 29)
    with pytest.raises(MediaError, match=r"no frame between 0:09\.000 and the end; the video lasts 0:04\.000"):
        sample(rendered("h264"), 5, start=9.0)


def test_frames_by_rate(rendered: Rendered) -> None:
    assert sample(rendered("h264"), 64, policy="fps", fps=5).indices == tuple(range(0, 100, 5))


def test_a_short_video_gives_each_frame_once_and_says_so(rendered: Rendered) -> None:
    clip = sample(rendered("one_frame"), 8)
    assert clip.indices == (0,)
    assert clip.info.warnings == ("1 of the 8 frames asked for: there are no more",)


@pytest.mark.parametrize(
    ("name", "degrees", "mirrored"),
    [("rotated_90", 270, False), ("rotated_180", 180, False), ("rotated_270", 90, False), ("mirrored", 90, True)],
)
def test_frames_are_upright(rendered: Rendered, name: str, degrees: int, mirrored: bool) -> None:
    clip = sample(rendered(name), 4)
    assert (clip.info.rotation, clip.info.mirrored) == (degrees, mirrored)
    assert clip.frames.shape[1:3] == (clip.info.height, clip.info.width) == (48, 64)
    assert [read_mark(frame) for frame in clip.frames] == list(clip.indices)
    stored = decode_everything(rendered(name))[0]
    assert (stored.width, stored.height) == ((64, 48) if degrees == 180 else (48, 64))


@pytest.mark.parametrize(
    ("suffix", "codec"), [(".ts", "libx264"), (".mkv", "libx264"), (".avi", "libx264"), (".ts", "libx265")]
)
def test_wide_pixels_are_stretched_where_only_the_video_says_so(tmp_path: Path, suffix: str, codec: str) -> None:
    path = tmp_path / f"x{suffix}"
    options = {"x265-params": "log-level=none"} if codec == "libx265" else {}
    render(replace(SPECS["wide_pixels"], suffix=suffix, codec=codec, options=options, size=(64, 64)), path)
    clip = sample(path)
    assert clip.frames.shape[1:] == (64, 128, 3)
    assert read_mark(clip.frames[3]) == clip.indices[3]


def without_reorder_depth(data: bytes) -> bytes:
    """Cut from an x264 header, where there is one, how far frames may be out of order; many encoders leave it out.

    It comes last, four bits after the rate, which is 25 as 1 and 50.
    """
    units = data.split(b"\0\0\0\1")
    for place, unit in enumerate(units):
        if unit[:1] == b"\x67":
            bits = "".join(f"{byte:08b}" for byte in unit.replace(b"\0\0\3", b"\0\0"))
            bits = bits[: bits.index(f"{1:032b}{50:032b}") + 68] + "01"
            raw = int(bits + "0" * (-len(bits) % 8), 2).to_bytes((len(bits) + 7) // 8)
            units[place] = re.sub(rb"\0\0(?=[\0-\3])", b"\0\0\3", raw)
    return b"\0\0\0\1".join(units)


@pytest.mark.parametrize("name", ["mpegts", "annex_b"])
def test_no_frame_is_lost_where_the_header_does_not_say_how_far_frames_are_out_of_order(
    rendered: Rendered, tmp_path: Path, name: str
) -> None:
    path = tmp_path / rendered(name).name
    if name == "annex_b":
        path.write_bytes(without_reorder_depth(rendered(name).read_bytes()))
    else:
        remux(rendered(name), path, lambda i, data: without_reorder_depth(data))
    clip = sample(path, 100)
    assert list(clip.indices) == list(range(60))
    assert [read_mark(frame) for frame in clip.frames] == list(clip.indices)


def test_a_rate_that_varies_in_display_only_is_sampled_by_time(rendered: Rendered, tmp_path: Path) -> None:
    """An index has only the stamps for decoding, which are even here."""
    path = tmp_path / "x.mp4"
    with av.open(str(rendered("intra_refresh"))) as given, av.open(str(path), "w") as output:
        stream = given.streams.video[0]
        copy = output.add_stream_from_template(stream)
        for place, packet in enumerate(packet for packet in given.demux(stream) if packet.size):
            packet.pts += 10 * packet.duration * (place >= 30)
            packet.stream = copy
            output.mux(packet)
    clip = sample(path, 7)
    stamps = [place + 10 * (place >= 30) for place in range(60)]
    assert list(clip.indices) == [sum(stamp <= 10 * i for stamp in stamps) - 1 for i in range(7)]
    assert wrong(path, View((48, 48), "full", Sampling(frames=7)), clip, DEFAULT) is None


@pytest.mark.parametrize("kept", [0.8, 0.97])
def test_an_mp4_cut_short_is_sampled_over_what_is_there(rendered: Rendered, tmp_path: Path, kept: float) -> None:
    """Also where the frames of the whole file that would be wanted are all there."""
    whole, path = tmp_path / "whole.mp4", tmp_path / "short.mp4"
    remux(rendered("h264"), whole, lambda i, data: data, movflags="faststart")
    path.write_bytes(whole.read_bytes()[: int(whole.stat().st_size * kept)])
    clip = sample(path, 4)
    assert clip.indices[-1] < 75
    assert any("the file lists 100 frames" in warning for warning in clip.info.warnings)
    assert [read_mark(frame) for frame in clip.frames] == list(clip.indices)


@pytest.mark.parametrize("threads", [1, 3])
def test_a_header_that_is_damaged_is_not_replaced_by_a_later_one(
    rendered: Rendered, tmp_path: Path, threads: int
) -> None:
    path = tmp_path / "x.mpg"
    remux(rendered("mpegps"), path, lambda i, data: data[:4] + bytes(3) + data[7:] if i == 0 else data)
    view = View((48, 48), "full", Sampling("fps", 8, 2.0))
    assert wrong(path, view, sampler.read_clip(source(path), view, threads), DEFAULT) is None


def test_hdr_is_said(rendered: Rendered) -> None:
    assert any("HDR (PQ)" in warning for warning in sample(rendered("hdr")).info.warnings)
    assert sample(rendered("ten_bit")).info.warnings == ()


def test_hidden_packets_are_no_frames(rendered: Rendered, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hidden = {7, 8, 20}
    path = tmp_path / "hidden.webm"
    remux(rendered("vp8"), path, lambda i, data: bytes([data[0] & ~0x10]) + data[1:] if i in hidden else data)
    monkeypatch.setattr(sampler, "_read_linear", None)
    shown = [index for index in range(60) if index not in hidden]
    assert len(decode_everything(path)) == len(shown)
    clip = sample(path, 64)
    assert [read_mark(frame) for frame in clip.frames] == shown


def test_damage_in_the_middle_is_said_and_the_rest_is_sampled(rendered: Rendered, tmp_path: Path) -> None:
    path = tmp_path / "damaged.mp4"
    remux(rendered("h264"), path, lambda i, data: b"\0\0\0\1\x09" + b"\xff" * 20 if 30 <= i < 36 else data)
    clip = sample(path, 100)
    assert 50 < len(clip.indices) < 100
    assert any("packets could not be decoded" in warning for warning in clip.info.warnings)
    marks = [read_mark(frame) for frame in clip.frames]
    assert marks[:20] == list(range(20))
    assert marks[-20:] == list(range(80, 100))


@pytest.mark.parametrize("frames", [3, 8, 16, 64])
def test_what_damage_spoils_is_spoilt_as_in_a_linear_decode(rendered: Rendered, tmp_path: Path, frames: int) -> None:
    path = tmp_path / "damaged.mp4"
    remux(rendered("one_group"), path, lambda i, data: data[: len(data) // 2] if i % 9 == 5 else data)
    with Reader(source(path)) as reader:
        truth = list(reader.decode_all())
    clip = sample(path, frames)
    assert any("damaged" in warning for warning in clip.info.warnings)
    for place, index in enumerate(clip.indices):
        assert np.array_equal(clip.frames[place], truth[index].to_ndarray(format="rgb24")), index


def test_a_file_cut_short_gives_what_is_there(rendered: Rendered, tmp_path: Path) -> None:
    whole = rendered("vp9").read_bytes()
    path = tmp_path / "short.webm"
    path.write_bytes(whole[: len(whole) // 2])
    clip = sample(path, 8)
    assert 0 < max(clip.indices) < 50
    assert any("may be cut short" in warning for warning in clip.info.warnings)
    assert [read_mark(frame) for frame in clip.frames] == list(clip.indices)


def test_an_mp4_cut_short_gives_what_is_there(rendered: Rendered, tmp_path: Path) -> None:
    whole, path = tmp_path / "whole.mp4", tmp_path / "short.mp4"
    remux(rendered("h264"), whole, lambda i, data: data, movflags="faststart")
    path.write_bytes(whole.read_bytes()[: whole.stat().st_size * 2 // 3])
    clip = sample(path, 8)
    assert 20 < max(clip.indices) < 80
    assert any("the file lists 100 frames" in warning for warning in clip.info.warnings)
    assert [read_mark(frame) for frame in clip.frames] == list(clip.indices)


def test_nothing_decodable_is_an_error(rendered: Rendered, tmp_path: Path) -> None:
    path = tmp_path / "noise.mp4"
    remux(rendered("h264"), path, lambda i, data: b"\xff" * 24)
    with pytest.raises(DecoderError, match="lists 100 frames, none of which can be decoded"):
        sample(path)


def test_a_playlist_in_disguise_is_not_followed(rendered: Rendered, tmp_path: Path) -> None:
    (tmp_path / "other.mkv").write_bytes(rendered("mkv").read_bytes())
    script = tmp_path / "x.mp4"
    script.write_text("ffconcat version 1.0\nfile other.mkv\n")
    assert decode_everything(script), "FFmpeg itself would follow it"
    with pytest.raises(av.FFmpegError):
        sample(script)


def test_an_error_in_one_thread_ends_all_and_leaves_none(rendered: Rendered, monkeypatch: pytest.MonkeyPatch) -> None:
    def explode(*_: object) -> None:
        raise MemoryError

    before = threading.active_count()
    monkeypatch.setattr(FrameScaler, "__call__", explode)
    for name in ("h264", "one_group"):
        with pytest.raises(MemoryError):
            sampler.read_clip(source(rendered(name)), View((48, 48), "crop", Sampling()), threads=4)
    assert threading.active_count() == before


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_the_number_of_threads_changes_nothing(rendered: Rendered, threads: int) -> None:
    view = View((48, 48), "crop", Sampling(frames=16))
    for name in ("h264", "one_group", "open_gop"):
        clip = sampler.read_clip(source(rendered(name)), view, threads=threads)
        assert np.array_equal(clip.frames, sampler.read_clip(source(rendered(name)), view).frames)


def test_files_are_closed(rendered: Rendered) -> None:
    path = rendered("h264")
    sample(path)
    assert path not in [link.resolve() for link in Path("/proc/self/fd").iterdir()]
