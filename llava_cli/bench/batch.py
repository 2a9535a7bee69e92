# SPDX-License-Identifier: Apache-2.0
"""`llava bench batch`: the road of lists against the loop of the model cards, in one run."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from llava_cli.batch.jobs import Job
from llava_cli.batch.run import open_batch
from llava_cli.bench import pixels
from llava_cli.bench.busy import gpu_busy
from llava_cli.bench.chart import Bar, Chart
from llava_cli.bench.host import describe
from llava_cli.bench.plain import read_clip
from llava_cli.bench.report import UNKNOWN, Report, times
from llava_cli.demo.draw import render_clip
from llava_cli.demo.world import dice, sample_clip
from llava_cli.request import Request
from llava_cli.session import Session

LIBRARIES = ("torch", "transformers", "av")

QUESTIONS = ("What colour is it?", "Which way does it move?", "Describe the video.")

Asked = tuple[str, str]
"""A file and a question about it."""
Answers = dict[Asked, str]


@dataclass(frozen=True)
class Road:
    """One way to answer a list of questions."""

    name: str
    answer: Callable[[], Answers]


def bench_batch(
    session: Session,
    request: Request,
    folder: Path,
    clips: int,
    runs: int,
    command: str,
    batch_size: int | None = None,
    name: str = "batch",
    told: Callable[[str], None] = lambda stage: None,
) -> Report:
    """Ask each of so many clips, drawn into a folder, the same questions in each way.

    Args:
        request: how they are asked; its media and question are set here.
        runs: medians are of so many, in turns.
        told: called with what is being done.
    """
    host = describe(LIBRARIES)
    told("drawing clips")
    paths = _draw(folder, clips)

    def asked(choice: Callable[[Any], Any]) -> list[Request]:
        shown = replace(request, choice=choice(request.choice))
        return [replace(shown, media=(path,), question=question) for path in paths for question in QUESTIONS]

    roads = (
        Road("plain loop", lambda: _plain_loop(session, asked(pixels.exact))),
        Road("llava caption", lambda: _batches(session, asked(pixels.exact), batch_size)),
        Road("llava caption, fast pixels", lambda: _batches(session, asked(pixels.fast), batch_size)),
    )
    _plain_loop(session, asked(pixels.exact)[:1])  # nobody pays for what is only done the first time
    info = session.engine.info
    rows = _rows(roads, runs, str(info.device), told)
    count = clips * len(QUESTIONS)
    title = f"{count} questions about {clips} clips to {Path(info.checkpoint).name}"
    notes = [
        f"{info.quantization or info.dtype} on {info.device}; medians of {runs} runs, in turns, without loading. The "
        "plain loop is the model cards': for each question, decode up to the last frame wanted, scale, encode, "
        "generate. The same text: as the plain loop's."
    ]
    head = ["", "seconds", "questions a second", "times as fast", "the same text", "GPU busy"]
    table = [head, *(_cells(row) for row in rows)]
    if not any(row["gpu_busy"] is not None for row in rows):
        table = [line[:-1] for line in table]
    bars = [Bar(row["road"], row["per_s"], f"{row['per_s']:.1f} a second") for row in rows]
    return Report(name, title, host, command, rows, [table], notes, Chart(title, "questions a second", [("", bars)]))


def _rows(roads: Sequence[Road], runs: int, device: str, told: Callable[[str], None]) -> list[dict[str, Any]]:
    """Go each road so many times, in turns; the first is what the others are compared with."""
    walls: dict[str, list[float]] = {road.name: [] for road in roads}
    busy: dict[str, list[float]] = {road.name: [] for road in roads}
    said: dict[str, Answers] = {}
    for _ in range(runs):
        for road in roads:
            told(road.name)
            with gpu_busy(device) as samples:
                started = time.perf_counter()
                said[road.name] = road.answer()
                walls[road.name].append(time.perf_counter() - started)
            busy[road.name] += samples
    plain, base = said[roads[0].name], statistics.median(walls[roads[0].name])
    rows = []
    for road in roads:
        seconds = statistics.median(walls[road.name])
        rows.append(
            {
                "road": road.name,
                "seconds": seconds,
                "questions": len(plain),
                "per_s": len(plain) / seconds,
                "times_as_fast": base / seconds,
                "same": sum(said[road.name].get(one) == text for one, text in plain.items()),
                "gpu_busy": statistics.mean(busy[road.name]) if busy[road.name] else None,
            }
        )
    return rows


def _cells(row: dict[str, Any]) -> list[str]:
    busy = UNKNOWN if row["gpu_busy"] is None else f"{row['gpu_busy']:.0%}"
    figures = [f"{row['seconds']:.1f}", f"{row['per_s']:.1f}", times(row["times_as_fast"])]
    return [row["road"], *figures, f"{row['same']} of {row['questions']}", busy]


def _draw(folder: Path, count: int) -> list[str]:
    paths = [folder / f"{number:05}.mp4" for number in range(count)]
    for number, path in enumerate(paths):
        render_clip(sample_clip(dice("bench", number)), path)
    return list(map(str, paths))


def _plain_loop(session: Session, requests: Sequence[Request]) -> Answers:
    answers = {}
    for request in requests:
        (path,) = request.names
        prepared = session.show(request, [read_clip(path, session.view(request).sampling)], 0.0)
        answers[path, prepared.question] = session.engine.answer([prepared.query])[0].text
    return answers


def _batches(session: Session, requests: Sequence[Request], batch_size: int | None) -> Answers:
    jobs = [Job(request.media, request.question) for request in requests]
    with open_batch(session, lambda: jobs, requests[0], batch_size=batch_size) as scheduler:
        records = [result.record for result in scheduler.results()]
    return {(one["media"][0]["path"], one["question"]): one.get("answer", "") for one in records}
