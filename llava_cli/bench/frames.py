# SPDX-License-Identifier: Apache-2.0
"""`llava bench frames`: what it takes to get frames out of a file, and whether they are the right ones."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from llava_cli.bench.chart import Bar, Chart
from llava_cli.bench.host import describe
from llava_cli.bench.measured import Measured, measure
from llava_cli.bench.media import RATE, render_all
from llava_cli.bench.peers import OURS, READERS, SIDE, Reader
from llava_cli.bench.report import UNKNOWN, Report, ratio, seconds, times
from llava_cli.bench.truth import Truth, Verdict, decode_all, judge
from llava_cli.engine.memory import GIB
from llava_cli.media.opening import open_source

_LIBRARIES = ("av", "opencv-python-headless", "torchcodec", "decord", "numpy", "pillow")
_MIB = GIB / 1024


def bench_frames(
    paths: Sequence[Path],
    frames: int,
    runs: int,
    command: str,
    notes: Sequence[str] = (),
    told: Callable[[str], None] = lambda stage: None,
    readers: Sequence[Reader] = READERS,
) -> Report:
    """Measure every reader that is installed on each file.

    Args:
        frames: how many to take of each file.
        runs: medians are of so many.
        told: called with what is being done.

    Raises:
        InputError: a file cannot be read.
    """
    for path in paths:
        with open_source(path):
            pass
    host = describe(_LIBRARIES)
    there = [reader for reader in readers if reader.installed]
    missing = [reader.name for reader in readers if not reader.installed]
    rows = [row for path in paths for row in _rows(path, frames, runs, there, told)]
    names = [reader.name for reader in there]
    failures = [
        f"{row['reader']} on {row['file']}: {row['error'].rstrip('.')}" for row in rows if row["error"] is not None
    ]
    about = [
        f"{frames} frames of each file, as {SIDE} x {SIDE} pixels, the shortest edge scaled by Pillow (fast pixels: by "
        f"the decoder). Processor time, user and system, of the reader and what it starts; medians of {runs} runs, "
        "taken in turns. Each reader has a process of its own; its start and imports are not timed. A frame is right "
        "if, beside a full decode, it is the one that the reader takes it for. The first table has times over those of "
        f"{OURS}, the median of the files that a reader is exact on; the second has processor time.",
        *([f"Not installed here: {', '.join(missing)}."] if missing else []),
        *notes,
        *([f"What fails: {'; '.join(failures)}."] if failures else []),
    ]
    return Report(
        "frames",
        "Frames out of files",
        host,
        command,
        rows,
        [_by_reader(rows, names), _by_file(rows, names)],
        about,
        _chart(rows, frames),
    )


def bench_rendered(
    folder: Path,
    height: int,
    seconds: float,
    frames: int,
    runs: int,
    command: str,
    told: Callable[[str], None] = lambda stage: None,
    readers: Sequence[Reader] = READERS,
) -> Report:
    """The same with videos of many kinds, made into a folder; see `render_all`."""
    told("rendering videos")
    paths, missing = render_all(folder, height, seconds)
    usual = f"{height} rows, {seconds:g} seconds at {RATE} frames a second"
    notes = [f"The videos were made here: {usual}, unless their names say otherwise."]
    if missing:
        notes.append(f"Not made, because PyAV lacks their encoders here: {', '.join(missing)}.")
    return bench_frames(paths, frames, runs, command, notes, told, readers)


def _rows(
    path: Path, frames: int, runs: int, readers: Sequence[Reader], told: Callable[[str], None]
) -> list[dict[str, Any]]:
    found = measure(readers, path, frames, runs, lambda name: told(f"{path.name}: {name}"))
    told(f"{path.name}: a full decode")
    truth = decode_all(path, [index for one in found for index in one.indices])
    ours = next(one for one in found if one.reader.name == OURS)
    return [_row(path, one, ours, truth, frames) for one in found]


def _row(path: Path, one: Measured, ours: Measured, truth: Truth, frames: int) -> dict[str, Any]:
    verdict = Verdict(0, 0, min(frames, truth.total))
    if one.frames is not None:
        verdict = judge(one.indices, one.frames, truth, frames)
    return {
        "file": path.name,
        "reader": one.reader.name,
        "cpu_s": one.cpu_s,
        "wall_s": one.wall_s,
        "ratio": ratio(one.cpu_s, ours.cpu_s),
        "wall_ratio": ratio(one.wall_s, ours.wall_s),
        "exact": verdict.exact,
        "right": verdict.right,
        "identical": verdict.identical,
        "wanted": verdict.wanted,
        "frames_counted": one.total,
        "frames_in_file": truth.total,
        "peak_memory": one.memory,
        "error": one.error,
    }


def _by_reader(rows: Sequence[dict[str, Any]], names: Sequence[str]) -> list[list[str]]:
    """A line for each reader over all files. What wrong frames cost does not count: it may be little."""
    table = [["reader", "processor time", "from", "to", "wall time", "exact on", "right frames", "peak memory"]]
    for name in names:
        own = [row for row in rows if row["reader"] == name]
        exact = [row for row in own if row["exact"]]
        ratios = [row["ratio"] for row in exact if row["ratio"] is not None]
        walls = [row["wall_ratio"] for row in exact if row["wall_ratio"] is not None]
        peaks = [row["peak_memory"] for row in own if row["peak_memory"] is not None]
        table.append(
            [
                name,
                *(times(of(ratios) if ratios else None) for of in (statistics.median, min, max)),
                times(statistics.median(walls) if walls else None),
                f"{len(exact)} of {len(own)} files",
                f"{sum(row['right'] for row in own)} of {sum(row['wanted'] for row in own)}",
                f"{max(peaks) / _MIB:.0f} MiB" if peaks else UNKNOWN,
            ]
        )
    return table


def _by_file(rows: Sequence[dict[str, Any]], names: Sequence[str]) -> list[list[str]]:
    """A line for each file: how often our processor time each reader takes, and how many frames are right."""
    others = [name for name in names if name != OURS]
    table = [["file", f"{OURS}, processor time", *others]]
    for file in dict.fromkeys(row["file"] for row in rows):
        cells = {row["reader"]: _cell(row) for row in rows if row["file"] == file}
        table.append([file, *(cells[name] for name in (OURS, *others))])
    return table


def _cell(row: dict[str, Any]) -> str:
    if row["error"] is not None:
        return "fails"
    figure = seconds(row["cpu_s"]) if row["reader"] == OURS else times(row["ratio"])
    return figure if row["exact"] else f"{figure} ({row['right']} of {row['wanted']} right)"


def _chart(rows: Sequence[dict[str, Any]], frames: int) -> Chart:
    groups = []
    for file in dict.fromkeys(row["file"] for row in rows):
        own = [row for row in rows if row["file"] == file and row["cpu_s"] is not None]
        groups.append((file, [Bar(row["reader"], row["cpu_s"], _label(row), row["exact"]) for row in own]))
    return Chart(f"Processor time for {frames} frames", "shorter is better; red: not the right frames", groups)


def _label(row: dict[str, Any]) -> str:
    figure = f"{seconds(row['cpu_s'])}, {times(row['ratio'])}"
    return figure if row["exact"] else f"{figure}, {row['right']} of {row['wanted']} right"
