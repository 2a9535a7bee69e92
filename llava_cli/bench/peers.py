# SPDX-License-Identifier: Apache-2.0
"""Ways to read frames of a video: this program's, and others', each as its documentation shows it.

Each takes a path and a number of frames, and goes by what it believes the video's number of frames to be: it takes
frames i * total / count. Nothing is imported before a reader is called.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import IO, TYPE_CHECKING, cast

from llava_cli.bench.memory import memory_of
from llava_cli.bench.pixels import exact, fast
from llava_cli.media.sampling import uniform
from llava_cli.request import FrameChoice

if TYPE_CHECKING:
    import numpy as np

Frame = tuple[int, "np.ndarray"]
"""What a reader takes a frame's index to be, and its pixels, uint8 [height, width, 3], RGB."""


@dataclass
class Reading:
    """Frames on their way."""

    frames: Iterator[Frame]
    """As they come: what has been taken need not be held any more."""
    total: int | None = None
    """How many frames the reader takes the video to have; None for those that do not tell."""
    helper_memory: list[int] = field(default_factory=list)
    """Peak bytes of each program that was started on the way."""


@dataclass(frozen=True)
class Reader:
    """One way to read frames."""

    name: str
    read: Callable[[str, int], Reading]
    modules: Sequence[str] = ()
    """What it imports."""
    program: str | None = None
    """What it starts."""

    @property
    def installed(self) -> bool:
        """Whether it is there, as far as a look at names tells."""
        packages = {module.partition(".")[0] for module in self.modules}
        return all(map(find_spec, packages)) and (self.program is None or shutil.which(self.program) is not None)


SIDE = 336
"""Rows and columns of what a vision tower is shown: the picture's shortest edge is brought to it, the centre cut."""


def spread(total: int, count: int) -> list[int]:
    """The indices of frames to take.

    Raises:
        ValueError: there are none.
    """
    if total < 1:
        raise ValueError("it finds no number of frames in the file")
    return uniform(total, min(count, total))


def as_shown(pixels: np.ndarray) -> np.ndarray:
    """What a vision tower is shown of a frame, scaled by Pillow; one that has that size already stays as it is."""
    import numpy as np
    from PIL import Image

    height, width = pixels.shape[:2]
    if (height, width) == (SIDE, SIDE):
        return pixels
    short = min(height, width)
    size = width * SIDE // short, height * SIDE // short
    picture = Image.fromarray(pixels).resize(size, Image.Resampling.BICUBIC)
    left, top = (size[0] - SIDE) // 2, (size[1] - SIDE) // 2
    return np.asarray(picture.crop((left, top, left + SIDE, top + SIDE)))


def recipe(path: str, count: int, choose: Callable[[int, int], list[int]] = spread) -> Reading:
    """The loop of the model cards: decode from the start, keep what is wanted, stack it, scale it.

    Args:
        choose: the indices of so many frames out of a total.
    """
    import av
    import numpy as np

    with av.open(path) as container:
        total = container.streams.video[0].frames
        wanted = choose(total, count)
        kept = []
        for index, frame in enumerate(container.decode(video=0)):
            if index > max(wanted, default=-1):
                break
            if index in wanted:
                kept.append(frame)
    stacked = np.stack([frame.to_ndarray(format="rgb24") for frame in kept])
    return Reading(iter(zip(wanted, stacked, strict=False)), total)


def _llava(pixels: Callable[[FrameChoice], FrameChoice]) -> Callable[[str, int], Reading]:
    def read(path: str, count: int) -> Reading:
        from llava_cli.media.clip import Clip, Sampling, View
        from llava_cli.media.load import load_media

        view = pixels(FrameChoice()).of(View((SIDE, SIDE), "crop", Sampling("uniform", count)), count)
        clip = cast(Clip, load_media(path, view))
        return Reading(iter(zip(clip.indices, clip.frames, strict=True)))

    return read


def _opencv(path: str, count: int) -> Reading:
    """Seek to each frame by its number."""
    import cv2

    video = cv2.VideoCapture(path)
    total = int(video.get(cv2.CAP_PROP_FRAME_COUNT))

    def frames() -> Iterator[Frame]:
        for index in spread(total, count):
            video.set(cv2.CAP_PROP_POS_FRAMES, index)
            there, pixels = video.read()
            if there:
                yield index, cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB)
        video.release()

    return Reading(frames(), total)


def _opencv_in_order(path: str, count: int) -> Reading:
    """Go through all frames, and convert those that are wanted."""
    import cv2

    video = cv2.VideoCapture(path)
    total = int(video.get(cv2.CAP_PROP_FRAME_COUNT))

    def frames() -> Iterator[Frame]:
        wanted = spread(total, count)
        for index in range(max(wanted, default=-1) + 1):
            if not video.grab():
                break
            if index in wanted:
                there, pixels = video.retrieve()
                if there:
                    yield index, cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB)
        video.release()

    return Reading(frames(), total)


def _torchcodec(path: str, count: int) -> Reading:
    from torchcodec.decoders import VideoDecoder

    decoder = VideoDecoder(path, dimension_order="NHWC")
    total = len(decoder)
    wanted = spread(total, count)
    return Reading(iter(zip(wanted, decoder.get_frames_at(indices=wanted).data.numpy(), strict=True)), total)


def _decord(path: str, count: int) -> Reading:
    from decord import VideoReader

    reader = VideoReader(path)
    wanted = spread(len(reader), count)
    return Reading(iter(zip(wanted, reader.get_batch(wanted).asnumpy(), strict=True)), len(reader))


def _ffmpeg_select(path: str, count: int) -> Reading:
    """One run that decodes everything and lets the wanted frames through."""
    total, _ = _ffmpeg_count(path)
    wanted, memory = spread(total, count), list[int]()
    choice = "+".join(f"eq(n,{index})" for index in wanted)
    pictures = _ffmpeg_pictures(memory, "-i", path, "-vf", f"select='{choice}'", "-fps_mode", "passthrough")
    # In this order the run is followed to its end.
    return Reading(((index, pixels) for pixels, index in zip(pictures, wanted, strict=False)), total, memory)


def _ffmpeg_seek(path: str, count: int) -> Reading:
    """One run for each frame, from half a frame before the time that its number has at the mean rate."""
    total, rate = _ffmpeg_count(path)
    memory: list[int] = []

    def frames() -> Iterator[Frame]:
        for index in spread(total, count):
            time = max(0.0, (index - 0.5) / rate)
            for pixels in _ffmpeg_pictures(memory, "-ss", f"{time:.6f}", "-i", path, "-frames:v", "1"):
                yield index, pixels

    return Reading(frames(), total, memory)


def _ffmpeg_count(path: str) -> tuple[int, float]:
    """How many coded frames there are, and how many a second, as the program prints it."""
    command = ["ffmpeg", "-nostdin", "-i", path, "-map", "0:v:0", "-c", "copy", "-f", "null", "-"]
    said = subprocess.run(command, capture_output=True, text=True, check=True, errors="replace").stderr  # noqa: S603
    rates = re.findall(r"([\d.]+) fps,", said)
    counts = re.findall(r"frame=\s*(\d+)", said)
    if not (rates and counts):
        raise ValueError("ffmpeg does not say how many frames there are")
    return int(counts[-1]), float(rates[0])


def _ffmpeg_pictures(memory: list[int], *arguments: str) -> Iterator[np.ndarray]:
    """The frames that a run gives, as PPM: each says its own size."""
    import numpy as np

    command = ["ffmpeg", "-nostdin", "-v", "error", *arguments, "-f", "image2pipe", "-c:v", "ppm", "-"]
    peak = 0
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:  # noqa: S603
        pipe = cast(IO[bytes], process.stdout)
        while pipe.readline().strip() == b"P6":
            width, height = map(int, pipe.readline().split())
            pipe.readline()
            pixels = pipe.read(width * height * 3)
            peak = max(peak, memory_of(process.pid, "VmHWM") or 0)
            yield np.frombuffer(pixels, np.uint8).reshape(height, width, 3)
    memory.append(peak)


_LLAVA = ("llava_cli.media.sampler", "llava_cli.media.picture")
OURS = "llava"
READERS: Sequence[Reader] = (
    Reader(OURS, _llava(exact), _LLAVA),
    Reader("llava, fast pixels", _llava(fast), _LLAVA),
    Reader("PyAV recipe", recipe, ("av",)),
    Reader("OpenCV seek", _opencv, ("cv2",)),
    Reader("OpenCV in order", _opencv_in_order, ("cv2",)),
    Reader("torchcodec", _torchcodec, ("torchcodec.decoders",)),
    Reader("decord", _decord, ("decord",)),
    Reader("ffmpeg select", _ffmpeg_select, program="ffmpeg"),
    Reader("ffmpeg -ss", _ffmpeg_seek, program="ffmpeg"),
)
"""In the order of tables; all others are compared with the first."""
