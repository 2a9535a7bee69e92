# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import math
import subprocess
import sys

import numpy as np
import pytest

from llava_cli.errors import UsageError
from llava_cli.media.clip import Policy, Sampling
from llava_cli.media.errors import MediaError
from llava_cli.media.limits import MAX_FRAMES
from llava_cli.media.sampling import (
    PLACES,
    Timeline,
    check,
    choose,
    clock,
    linspace,
    linspace_rounded,
    parse_duration,
    parse_time,
    stride,
    uniform,
)


def even(total: int, rate: float = 25.0) -> Timeline:
    return Timeline([i / rate for i in range(total)], tick=1e-5)


def rounded(total: int, rate: float, tick: float = 0.001) -> Timeline:
    return Timeline([round(i / rate / tick) * tick for i in range(total)], tick)


def indices(timeline: Timeline, policy: Policy = "uniform", frames: int = 8, **more: float) -> list[int]:
    return choose(timeline, Sampling(policy, frames, **more))[0]


def test_uniform_is_the_published_arange() -> None:
    for count in range(1, 129):
        for total in range(count, 2001):
            assert uniform(total, count) == np.arange(0, total, total / count).astype(int)[:count].tolist()


def test_uniform_is_not_quite_a_division_of_whole_numbers() -> None:
    assert (uniform(208, 48)[27], 27 * 208 // 48) == (116, 117)


def test_uniform_never_gives_more_than_asked_where_arange_does() -> None:
    assert len(np.arange(0, 218, 218 / 11)) == 12
    assert uniform(218, 11) == [i * 218 // 11 for i in range(11)]


def test_stride_takes_every_so_many_frames() -> None:
    assert stride(243, 8) == [0, 30, 60, 90, 120, 150, 180, 210]
    assert indices(even(243), "stride", start=1.0, end=2.5) == [25 + 4 * i for i in range(8)]
    for total in range(9, 100):
        assert indices(even(total), "stride") == [i * (total // 8) for i in range(8)]


def test_linspace_is_numpys() -> None:
    for count in (1, 2, 3, 8, 19, 64):
        for total in range(count, 700):
            assert linspace(total, count) == np.linspace(0, total - 1, count).astype(int).tolist()


def test_linspace_rounded_goes_to_the_nearest_and_halves_to_the_even_one() -> None:
    for count in (1, 2, 3, 8, 19, 32):
        for total in range(count, 700):
            assert linspace_rounded(total, count) == np.linspace(0, total - 1, count).round().astype(int).tolist()
    assert linspace_rounded(28, 3) == [0, 14, 27]
    uneven = Timeline([0.0, 0.1, 0.2, 5.0, 9.0, 10.0], tick=0.001)
    assert indices(uneven, "linspace-rounded", 3) == indices(uneven, "linspace", 3) == [0, 3, 5]


def test_known_video() -> None:
    assert indices(even(243)) == [0, 30, 60, 91, 121, 151, 182, 212]
    assert indices(even(243), "linspace") == [0, 34, 69, 103, 138, 172, 207, 242]


@pytest.mark.parametrize("policy", PLACES)
def test_a_short_video_gives_every_frame_once(policy: Policy) -> None:
    chosen, notes = choose(even(5), Sampling(policy, 8))
    assert chosen == [0, 1, 2, 3, 4]
    assert notes == ["5 of the 8 frames asked for: there are no more"]
    assert choose(even(5), Sampling(policy, 10**12))[0] == chosen
    assert choose(even(8), Sampling(policy, 8)) == (list(range(8)), [])


@pytest.mark.parametrize("rate", [10, 15, 23.976, 24000 / 1001, 25, 29.97, 50, 59.94, 120, 240])
def test_rounded_stamps_are_a_constant_rate(rate: float) -> None:
    timeline = rounded(500, rate)
    assert timeline.constant
    assert indices(timeline) == uniform(500, 8)


def test_a_cameras_jitter_is_a_constant_rate() -> None:
    noise = np.random.default_rng(0).uniform(-0.004, 0.004, 300)
    noise[0] = 0
    assert Timeline(sorted(i / 30 + noise[i] for i in range(300)), tick=1 / 90000).constant


def test_coarse_ticks_are_a_constant_rate() -> None:
    """At 30 frames a second every second stamp on a clock of 1/20 s is off by half a frame."""
    assert Timeline([math.floor(i / 30 * 40) / 40 for i in range(100)], tick=1 / 40).constant


def test_a_pause_or_a_change_of_rate_is_none() -> None:
    assert not Timeline([*(i / 25 for i in range(50)), *(5 + i / 25 for i in range(50))]).constant
    assert not Timeline([*(i / 30 for i in range(60)), *(2 + i / 15 for i in range(30))]).constant


def test_a_varying_rate_is_sampled_by_time() -> None:
    times = [*(i / 10 for i in range(10)), *(1 + i / 100 for i in range(300))]  # 1 s at 10, 3 s at 100 a second
    timeline = Timeline(times, tick=1e-6, last=0.01)
    assert timeline.duration == pytest.approx(4.0)
    assert indices(timeline, frames=8) == [0, 5, 10, 60, 110, 160, 210, 260]
    assert indices(timeline, "linspace", 5)[-1] == 309
    # 38 of 310 frames would be 38 / 310 of the time.
    assert indices(timeline, "stride", 8) == [timeline.shown_at(i * 38 / 310 * 4) for i in range(8)]


def test_a_still_stretch_is_shown_once() -> None:
    times = [0.0, 0.04, 0.08, *(10 + i / 25 for i in range(20))]
    chosen, notes = choose(Timeline(times, last=0.04), Sampling(frames=8))
    assert chosen[:2] == [0, 2]
    assert len(chosen) == len(set(chosen)) < 8
    assert notes == [f"{len(chosen)} of the 8 frames asked for: the others would be repeats"]


@pytest.mark.parametrize("rate", [24000 / 1001, 25, 30000 / 1001, 30])
def test_by_rate_gives_the_frame_on_screen_at_each_moment(rate: float) -> None:
    timeline = rounded(300, rate, 1 / 90000)
    chosen = indices(timeline, "fps", 1000, fps=2)
    assert chosen == [math.floor(k / 2 * rate + 0.001) for k in range(math.ceil(300 / rate * 2 - 1e-6))]


@pytest.mark.parametrize("fps", [25, 60, 1e9])
def test_a_rate_above_the_videos_own_gives_every_frame_once(fps: float) -> None:
    assert indices(even(50), "fps", 64, fps=fps) == list(range(50))


def test_a_rate_that_asks_for_too_many_is_spread_and_said() -> None:
    chosen, notes = choose(even(250), Sampling("fps", 4, fps=2))
    assert chosen == [0, 83, 166, 249]
    assert notes == ["2 frames a second would be 20 frames; 4 are spread over the same time: --frames allows more"]


def test_a_rate_is_bounded_by_nothing_but_what_it_is_given() -> None:
    assert choose(even(25 * 60), Sampling("fps", 60, fps=1)) == (list(range(0, 1500, 25)), [])
    assert choose(even(MAX_FRAMES), Sampling("fps", MAX_FRAMES, fps=25)) == (list(range(MAX_FRAMES)), [])
    chosen, notes = choose(even(2 * MAX_FRAMES), Sampling("fps", MAX_FRAMES, fps=25))
    assert len(chosen) == MAX_FRAMES
    assert notes == [
        "25 frames a second would be 8192 frames; 4096 are spread over the same time: no more than 4096 can be had"
    ]


def test_a_rate_slower_than_the_video_lasts_gives_its_first_frame() -> None:
    assert indices(even(50), "fps", fps=0.01) == [0]


@pytest.mark.parametrize(
    ("start", "end", "expected"),
    [(None, 1.0, range(25)), (1.0, None, range(25, 50)), (0.5, 0.6, range(13, 15)), (0.52, 0.6, range(13, 15))],
)
def test_start_counts_end_does_not(start: float | None, end: float | None, expected: range) -> None:
    assert choose(even(50), Sampling(frames=100, start=start, end=end))[0] == list(expected)


def test_bounds_on_rounded_stamps() -> None:
    """Frame 2 of a 30 a second MKV is stamped 0.067, though it is shown at 0.0667."""
    timeline = rounded(300, 30)
    assert indices(timeline, frames=1, start=2 / 30) == [2]
    assert indices(timeline, frames=99, start=0.0, end=2 / 30) == [0, 1]


def test_moments_on_rounded_stamps() -> None:
    assert rounded(300, 30).shown_at(2 / 30) == 2
    assert rounded(300, 30).shown_at(2 / 30 - 0.001) == 1


def test_nothing_between_start_and_end() -> None:
    with pytest.raises(MediaError, match=r"no frame between 0:03\.000 and 0:04\.000; the video lasts 0:02\.000"):
        indices(even(50), start=3, end=4)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("0", 0), ("83", 83), ("83.5", 83.5), (".5", 0.5), ("1:23", 83), ("1:02:03.25", 3723.25), (" 00:00:05 ", 5)],
)
def test_parse_time(text: str, seconds: float) -> None:
    assert parse_time(text) == seconds


@pytest.mark.parametrize("text", ["", "-1", "1:60", "1:60:00", "1:2:3:4", "nan", "inf", "1e3", "5s", "1:-2", "٣"])
def test_parse_time_refuses(text: str) -> None:
    with pytest.raises(UsageError, match="is not a time"):
        parse_time(text)


@pytest.mark.parametrize(
    ("text", "seconds"), [("90", 90), ("30s", 30), ("5m", 300), ("2h", 7200), ("0.5", 0.5), (" 1.5m ", 90), ("0", 0)]
)
def test_parse_duration(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "m", "-1s", "1d", "1h30m", "1:30", "1e3", "inf", "٣s", "1" * 400])
def test_parse_duration_refuses(text: str) -> None:
    with pytest.raises(UsageError, match="must be a time like 30s, 5m or 2h") as refused:
        parse_duration(text)
    assert len(str(refused.value)) < 120


def test_clock() -> None:
    assert [clock(t) for t in (0, 9.72, 59.9996, 3661.5)] == ["0:00.000", "0:09.720", "1:00.000", "1:01:01.500"]


@pytest.mark.parametrize(
    "sampling",
    [
        Sampling(frames=0),
        Sampling(frames=-1),
        Sampling("random"),  # type: ignore[arg-type]
        Sampling("fps"),
        Sampling("fps", fps=0),
        Sampling("fps", fps=-1),
        Sampling("fps", fps=math.nan),
        Sampling("fps", fps=math.inf),
        Sampling(start=-1),
        Sampling(end=math.nan),
        Sampling(start=2, end=2),
        Sampling(end=0),
    ],
)
def test_numbers_that_make_no_sense(sampling: Sampling) -> None:
    with pytest.raises(UsageError):
        check(sampling)


def test_importing_media_loads_nothing_heavy() -> None:
    """The command line imports these for its options, at every TAB."""
    code = (
        "import sys, llava_cli.media, llava_cli.media.sampling, llava_cli.media.clip;"
        "print([m for m in ('av', 'cv2', 'PIL', 'numpy', 'torch', 'transformers') if m in sys.modules])"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
