# SPDX-License-Identifier: Apache-2.0
"""Frames in sizes of their own, through the whole tool: from files to the tokens that the authors' code gives."""

from __future__ import annotations

import json
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
import tiny
from onevision2 import EIGHT, HAPPENS, THREE, VECTORS, Frames, Vector, pictures
from PIL import Image
from tiny.llava_onevision2 import AUTHORS

# Of all frames so many are to be shown, the authors' among them.
COUNTS = {THREE: 28, EIGHT: 2391}
ON_THE_CPU = ("--dtype", "float32", "--device", "cpu")


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.make("llava-onevision2", tmp_path_factory.mktemp("onevision2"), **AUTHORS)


@pytest.fixture(scope="module")
def file_of(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str | Frames], Path]:
    """Return a function that writes what a vector shows as a file, without loss."""
    folder = tmp_path_factory.mktemp("files")

    def write(medium: str | Frames) -> Path:
        name = (medium if isinstance(medium, str) else medium.pictures).replace("/", "-")
        path = folder / f"{name}{'.png' if isinstance(medium, str) else '.mkv'}"
        if path.exists():
            return path
        if isinstance(medium, str):
            Image.fromarray(pictures(medium)[0]).save(path)
        else:
            write_video(path, medium)
        return path

    return write


def write_video(path: Path, video: Frames) -> None:
    """A video that shows the authors' frames in their places, and black ones in between."""
    shown = dict(zip(video.indices, pictures(video.pictures, len(video.indices)), strict=True))
    other = np.zeros_like(shown[0])
    rate = Fraction(str(video.rate))
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=rate)
        stream.height, stream.width = other.shape[:2]
        stream.pix_fmt = "bgr0"
        for index in stamps(video):
            frame = av.VideoFrame.from_ndarray(shown.get(index, other), format="rgb24").reformat(format="bgr0")
            frame.pts, frame.time_base = index, 1 / rate
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def stamps(video: Frames) -> range:
    return range(COUNTS.get(video, video.indices[-1] + 1))


ONE_RATE = [vector for vector in VECTORS if any(isinstance(one, Frames) and one in COUNTS for one in vector.media)]
ONE_RATE = [vector for vector in ONE_RATE if not vector.name.startswith("two")]


@pytest.mark.parametrize("vector", ONE_RATE, ids=str)
def test_a_question_about_files_gets_the_authors_tokens(llava, checkpoint, file_of, vector: Vector):
    # The middle one of three was chosen by rounding down, those of eight as the checkpoint does by itself.
    frames = next(one for one in vector.media if isinstance(one, Frames))
    sampling = ("--sampling", "linspace") if frames == THREE else ()
    positions = ("--video-positions", "index") if vector.positions == "index" else ()
    result = llava(
        "ask", *map(file_of, vector.media), vector.question, "--model", checkpoint, "-n", len(frames.indices),
        *sampling, *positions, "--max-new-tokens", 12, "--json", "--prompt-ids", *ON_THE_CPU,
    )  # fmt: skip
    assert result.code == 0, result.err
    record, expected = json.loads(result.out), vector.expected()
    ids = [token for token, count in record["prompt_ids"] for _ in range(count)]
    assert ids == expected["input_ids"][0].tolist()
    assert record["answer_ids"] == expected["tokens"][0].tolist()
    assert [frame["index"] for frame in record["media"][-1]["frames"]] == list(frames.indices)
    assert record["model"]["template"] == "checkpoint"
    assert [warning for warning in record["warnings"] if "cut off" not in warning] == []


@pytest.mark.parametrize("way", ["zero", "index"])
def test_two_videos_in_a_conversation_get_the_authors_tokens(llava, checkpoint, file_of, tmp_path, way):
    vector = next(one for one in VECTORS if one.name == {"zero": "two_videos_t0", "index": "two_videos_tindex"}[way])
    three = file_of(vector.media[1])
    # The first shows a frame when its picture changes: at 0, at a quarter and at three quarters of a second.
    part = tmp_path / "tall.mkv"
    write_uneven(part, vector.media[0])  # type: ignore[arg-type]
    content = [
        {"type": "video", "path": str(part), "frames": 3, "sampling": "linspace"},
        {"type": "video", "path": str(three), "frames": 3, "sampling": "linspace"},
        {"type": "text", "text": vector.question},
    ]
    (tmp_path / "chat.json").write_text(json.dumps([{"role": "user", "content": content}]))
    result = llava(
        "ask", "--conversation", tmp_path / "chat.json", "--model", checkpoint, "--video-positions", way,
        "--max-new-tokens", 12, "--json", "--prompt-ids", *ON_THE_CPU,
    )  # fmt: skip
    assert result.code == 0, result.err
    record, expected = json.loads(result.out), vector.expected()
    assert [frame["index"] for frame in record["media"][0]["frames"]] == [0, 5, 15]
    assert record["answer_ids"] == expected["tokens"][0].tolist()


def write_uneven(path: Path, video: Frames) -> None:
    """The frames of a video whose rate varies: an even step in time then goes to the authors' frames."""
    shown = dict(zip(video.indices, pictures(video.pictures, len(video.indices)), strict=True))
    times = [50 * index for index in range(6)] + [500 + 25 * step for step in range(9)] + [750]
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=1000)
        stream.height, stream.width = shown[0].shape[:2]
        stream.pix_fmt = "bgr0"
        for index, time in enumerate(times):
            pixels = shown.get(index, np.zeros_like(shown[0]))
            frame = av.VideoFrame.from_ndarray(pixels, format="rgb24").reformat(format="bgr0")
            frame.pts, frame.time_base = time, Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def test_a_dry_run_shows_the_size_and_the_times_of_frames(llava, checkpoint, file_of):
    result = llava("ask", file_of(THREE), HAPPENS, "--model", checkpoint, "-n", 3, "--dry-run")
    assert result.code == 0
    assert "3 frames of 112x84, 36 visual tokens" in result.out
    assert "<0.0 seconds><|vision_start|><image><|vision_end|><1.1 seconds><|vision_start|>" in result.out


@pytest.mark.parametrize(("options", "size"), [((), (140, 84)), (("--max-frame-pixels", 8000), (84, 56))])
def test_the_user_says_how_large_frames_may_be(llava, checkpoint, rendered, options, size):
    asked = (rendered("intra_refresh"), "--model", checkpoint, "-n", 2, "--json", *options)  # of 128 x 96
    for command in (("frames", *asked), ("ask", *asked, "-p", "Why?", "--max-new-tokens", 2, *ON_THE_CPU)):
        result = llava(*command)
        assert result.code == 0, result.err
        record = json.loads(result.out)
        (medium,) = record.get("media", [record])
        assert medium["frame_size"] == {"width": size[0], "height": size[1]}
        assert medium["visual_tokens"] == 2 * size[0] * size[1] // 28**2


def test_a_list_holds_frames_of_several_sizes(llava, checkpoint, file_of, files, tmp_path):
    ledger = tmp_path / "captions.jsonl"
    stills = [files / "still0.png", files / "still1.png"]
    result = llava(
        "caption", file_of(THREE), files / "rotated_90.mp4", *stills, "--model", checkpoint, "-n", 2, "-o", ledger,
        "--max-new-tokens", 4, *ON_THE_CPU,
    )  # fmt: skip
    assert result.code == 0, result.err
    records = [json.loads(line) for line in ledger.read_text().splitlines()]
    assert {record["status"] for record in records} == {"ok"}
    assert len({record["usage"]["visual_tokens"] for record in records}) > 2


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (("--max-frame-pixels", 500), "--max-frame-pixels 500: llava-onevision2 takes from 6272 to 31360"),
        (("--max-frame-pixels", 40000), "--max-frame-pixels 40000: llava-onevision2 takes from 6272 to 31360"),
    ],
)
def test_sizes_that_the_files_do_not_allow_are_refused(llava, checkpoint, files, options, told):
    result = llava("frames", files / "h264.mp4", "--model", checkpoint, *options)
    assert result.code == 2
    assert told in result.err


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (("--max-frame-pixels", 50_000), "--max-frame-pixels: llava-next-video sees every frame at 56x56 pixels"),
        (("--video-positions", "index"), "llava-next-video tells its vision tower of no positions"),
    ],
)
def test_families_that_cannot_do_it_say_so(llava, tiny, files, tmp_path, options, told):
    ledger = tmp_path / "captions.jsonl"
    for command in (("frames",), ("ask", "-p", "Why?"), ("caption", "-o", ledger)):
        result = llava(*command, files / "h264.mp4", "--model", tiny, *options)
        assert result.code == 2
        assert told in result.err
    assert not ledger.exists()


def test_a_picture_too_long_for_its_width_is_an_error_of_its_file(llava, checkpoint, tmp_path):
    Image.new("RGB", (2100, 10)).save(tmp_path / "line.png")
    result = llava("ask", tmp_path / "line.png", "Why?", "--model", checkpoint, *ON_THE_CPU)
    assert result.code == 3
    assert "line.png: is 2100 by 10 pixels: one edge is more than 200 times as long as the other" in result.err


def test_float16_is_warned_of(llava, checkpoint, file_of):
    result = llava("ask", file_of(THREE), HAPPENS, "--model", checkpoint, "--dtype", "float16", "--dry-run", "--json")
    assert result.code == 0
    assert json.loads(result.out)["warnings"] == [
        "llava-onevision2 was not made for float16, in which its numbers may overflow: bfloat16 is safe"
    ]
