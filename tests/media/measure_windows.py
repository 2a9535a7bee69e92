# SPDX-License-Identifier: Apache-2.0
"""What an hour of video costs in windows of 30 seconds, in processor time, beside one full decode.

    python tests/media/measure_windows.py [MINUTES] [KEYFRAME_DISTANCE]

Renders the video (H.264, 160x120, 25 frames a second, a new scene every 20 seconds) into a temporary folder.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import psutil

from llava_cli.media.clip import Sampling, View
from llava_cli.media.windows import Division
from llava_cli.media.worker.parent import Worker

RATE, SCENE_S, EVERY_S = 25, 20, 30.0


def render(path: Path, minutes: int, keyframes: int) -> None:
    """Noise that drifts, another in each scene: no two frames are alike."""
    noise = np.random.default_rng(0)
    with av.open(str(path), "w") as output:
        options = {"preset": "veryfast", "g": str(keyframes), "sc_threshold": "0"}
        stream = output.add_stream("libx264", rate=RATE, options=options)
        stream.width, stream.height, stream.pix_fmt = 160, 120, "yuv420p"
        for number in range(minutes * 60 * RATE):
            if number % (SCENE_S * RATE) == 0:
                coarse = noise.integers(0, 256, (12, 16, 3), dtype=np.uint8)
                ground = np.kron(coarse, np.ones((10, 10, 1), np.uint8))
            frame = av.VideoFrame.from_ndarray(np.roll(ground, number % 160, axis=1), "rgb24")
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))


def full_decode(path: Path) -> float:
    """Processor seconds of one decode from start to end, by one thread."""
    before = time.process_time()
    with av.open(str(path)) as container:
        container.streams.video[0].thread_count = 1
        for _ in container.decode(video=0):
            pass
    return time.process_time() - before


def in_windows(path: Path, frames: int) -> tuple[float, int]:
    """Processor seconds of the process that decodes, and how many windows there were."""
    with Worker(threads=1) as worker:
        worker.confinement()
        process = psutil.Process(worker._process.pid)
        before = sum(process.cpu_times()[:2])
        first = worker.load(path, View((84, 84), "crop", Sampling(frames=1, start=0.0)))
        windows = Division(every=EVERY_S).over(0.0, first.info.duration or 0.0)
        for window in windows:
            view = View((84, 84), "crop", Sampling(frames=frames, start=window.start, end=window.end))
            clip = worker.load(path, view)
            assert all(window.start <= time < window.end for time in clip.times)
        return sum(process.cpu_times()[:2]) - before, len(windows)


def main(minutes: int = 60, keyframes: int = 250) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "long.mp4"
        render(path, minutes, keyframes)
        say: Callable[..., None] = print
        say(f"{minutes} minutes, a keyframe every {keyframes} frames, {path.stat().st_size >> 20} MiB")
        whole = full_decode(path)
        say(f"one full decode: {whole:.1f} s")
        for frames in (1, 8, 32):
            seconds, windows = in_windows(path, frames)
            say(f"{windows} windows of {frames} frames: {seconds:.1f} s, {seconds / whole:.2f} of it")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
