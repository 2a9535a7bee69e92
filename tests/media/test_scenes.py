# SPDX-License-Identifier: Apache-2.0
"""Scenes: every true cut at its true time, and no other, whatever the file does to its stamps and its picture."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from llava_cli.errors import InputError
from llava_cli.media.scenes import cuts
from llava_cli.media.source import Source
from llava_cli.media.worker.parent import Worker

CUTS = (20, 21, 45, 70)
"""Frames with which a scene begins; one of them is a flash of a single frame."""
FRAMES = 90


def picture(index: int) -> np.ndarray:
    """uint8 [96, 128, 3]: another ground in each scene, a bar that moves, and noise."""
    scene = sum(index >= cut for cut in CUTS)
    ground = [(200, 40, 40), (250, 250, 250), (30, 60, 200), (40, 160, 60), (230, 210, 60)][scene]
    frame = np.full((96, 128, 3), ground, np.int16)
    frame[40:56, (3 * index) % 110 :][:, :18] = 20
    return np.clip(frame + np.random.default_rng(index).integers(-8, 9, frame.shape), 0, 255).astype(np.uint8)


def write(path: Path, stamps: list[int], rotation: int = 0, **options: str) -> list[float]:
    """A video of FRAMES frames at these milliseconds; the times of its cuts."""
    with av.open(str(path), "w") as output:
        settings = {"preset": "veryfast", "g": "30", "sc_threshold": "0", "bf": "2", **options}
        stream = output.add_stream("libx264", rate=25, options=settings)
        stream.width, stream.height, stream.pix_fmt = 128, 96, "yuv420p"
        stream.time_base = stream.codec_context.time_base = Fraction(1, 1000)
        if rotation:
            stream.set_display_rotation(rotation)
        for index, stamp in enumerate(stamps):
            frame = av.VideoFrame.from_ndarray(picture(index), "rgb24")
            frame.pts, frame.time_base = stamp, Fraction(1, 1000)
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    return [(stamps[cut] - stamps[0]) / 1000 for cut in CUTS]


EVEN = [40 * index for index in range(FRAMES)]
SHAPES = {
    "even": (EVEN, {}),
    "varying": ([40 * i + 300 * (i // 10) for i in range(FRAMES)], {}),
    "late": ([5000 + stamp for stamp in EVEN], {}),
    "turned": (EVEN, {"rotation": 90}),
    "keyframes_elsewhere": (EVEN, {"g": "25", "keyint_min": "25"}),
}


@pytest.mark.parametrize("shape", SHAPES)
def test_cuts_are_found_at_their_times_and_nowhere_else(shape: str, tmp_path: Path) -> None:
    stamps, more = SHAPES[shape]
    true = write(tmp_path / "clip.mkv", stamps, **more)
    assert cuts(Source(str(tmp_path / "clip.mkv"), "clip.mkv"), 2) == pytest.approx(true, abs=0.0015)


def test_a_process_finds_them_confined_and_tells_the_duration(tmp_path: Path) -> None:
    true = write(tmp_path / "clip.mp4", EVEN)
    with Worker(scenes=True) as worker:
        survey = worker.survey(str(tmp_path / "clip.mp4"), scenes=True)
        assert worker.confinement().no_new_privileges
    assert survey.cuts == pytest.approx(true)
    assert survey.duration == pytest.approx(FRAMES / 25)


def test_what_cannot_be_decoded_has_no_scenes_and_is_told(tmp_path: Path) -> None:
    (tmp_path / "clip.mp4").write_bytes(b"\0\0\0\x20ftypisom" + b"\0" * 2000)
    with Worker(scenes=True) as worker, pytest.raises(InputError, match=r"clip\.mp4: is no video or image"):
        worker.survey(str(tmp_path / "clip.mp4"), scenes=True)


def test_an_animation_is_one_scene(tmp_path: Path) -> None:
    first, *rest = (Image.fromarray(picture(index)) for index in (0, 20, 45))
    first.save(tmp_path / "clip.gif", save_all=True, append_images=rest, duration=100)
    with Worker(scenes=True) as worker:
        survey = worker.survey(str(tmp_path / "clip.gif"), scenes=True)
    assert (survey.duration, survey.cuts) == (pytest.approx(0.3), ())
