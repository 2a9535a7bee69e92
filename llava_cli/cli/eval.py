# SPDX-License-Identifier: Apache-2.0
"""`llava eval`: how many questions of a multiple-choice task a checkpoint answers right."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from llava_cli.cli import batch_options, options, values
from llava_cli.cli.batch import JobList, Wanted, answer_all, open_list
from llava_cli.cli.endpoint_options import EndpointOptions
from llava_cli.cli.grouping import Without
from llava_cli.cli.help import COMMON
from llava_cli.cli.tables import table
from llava_cli.engine.scores import Normalize
from llava_cli.errors import InputError, UsageError
from llava_cli.output import Output
from llava_cli.record import to_json
from llava_cli.stdin import stdin_is_terminal

if TYPE_CHECKING:
    from llava_cli.evaluation.evaluation import Evaluation
    from llava_cli.evaluation.figures import Accuracy

EXAMPLES = """
Examples:

  llava eval task.jsonl -o answers.jsonl

  llava eval task.jsonl --by text --shuffle 1

  llava eval task.jsonl --style texts --normalize tokens --json

A question: {"media": "clip.mp4", "question": "Who?", "choices": ["a cat", "a dog"], "answer": "B", "category": "who"}
"""

_task = partial(typer.Option, rich_help_panel="Task")

Task = Annotated[
    str,
    typer.Argument(
        metavar="TASK",
        help="JSON Lines: jobs as of llava batch with choices, answer (the text, the letter or the number of one, from "
        "0 on), and perhaps category. '-' is standard input.",
    ),
]


@dataclass(frozen=True)
class TaskOptions:
    """How the questions are put, and answers are taken."""

    style: Annotated[
        str,
        _task(
            "--style",
            metavar="letters|texts",
            parser=values.one_of(Literal["letters", "texts"]),
            help="'letters' lists the choices below the question and has a letter answered; 'texts' asks the question "
            "alone, and choices are answers.",
        ),
    ] = "letters"
    by: Annotated[
        str,
        _task(
            "--by",
            metavar="scores|text",
            parser=values.one_of(Literal["scores", "text"]),
            help="Take the likeliest choice, or the one that a generated answer means.",
        ),
        COMMON,
    ] = "scores"
    normalize: Annotated[
        Normalize | None,
        _task(
            "--normalize",
            metavar="none|tokens",
            parser=values.one_of(Normalize),
            help="Compare choices by the sum of their tokens' log-probabilities, or by the mean (tokens).",
            show_default="none",
        ),
    ] = None
    shuffle: Annotated[
        int | None,
        _task(
            "--shuffle",
            metavar="SEED",
            parser=values.whole(0, 2**63 - 1),
            help="Show the choices of each question in an order that follows from SEED.",
        ),
    ] = None


def eval(
    task: Task,
    *,
    how: TaskOptions,
    selection: batch_options.ListOptions,
    model: Annotated[options.ModelOptions, Without("dummy")],
    frames: options.FrameOptions,
    generation: Annotated[options.GenerationOptions, Without("raw", "prompt_ids")],
    device: options.DeviceOptions,
    endpoint: EndpointOptions,
    batching: batch_options.BatchOptions,
    engines: batch_options.EngineOptions,
    limits: options.LimitOptions = batch_options.LIMITS,
    outputs: Annotated[batch_options.OutputOptions, Without("sidecar", "output_dir", "overwrite")],
    json: Annotated[
        bool, typer.Option("--json", help="Print the report as one line of JSON.", rich_help_panel="Output")
    ] = False,
    quiet: options.Quiet = False,
) -> None:
    """Measure how many multiple-choice questions are answered right.

    Prints the accuracy with its confidence interval (95 %, Wilson's), of each category too; how often answers of some
    confidence are right; and what is needed to repeat it: the checkpoint and its revision, frames, sampling, pixels,
    template. With --output, the answers are kept as records, and the same command, run again, continues where it
    stopped. Exit code 1: some questions failed, which count as wrong.
    """
    if how.by == "text" and how.normalize is not None:
        raise UsageError("--normalize is about how choices are compared: it needs --by scores")
    if task == "-" and stdin_is_terminal():
        raise UsageError("standard input is a terminal; pipe a task into it, or name one")
    from llava_cli.evaluation.evaluation import Evaluation
    from llava_cli.evaluation.task import read_task

    with open_list(task) as stream:
        questions = list(read_task(stream, "standard input" if task == "-" else task))
    if not questions:
        raise InputError(f"{task}: has no questions")
    if how.shuffle is not None:
        questions = [question.shuffled(how.shuffle) for question in questions]
    style: Any = how.style
    by: Any = how.by
    from llava_cli.batch.windows import Along

    report = Report(Evaluation(questions, style, by), how, json)
    jobs = JobList(lambda: (question.asked(style, by) for question in questions), True, selection)
    answer_all(
        jobs, model, frames, generation, device, endpoint, batching, engines, limits, outputs, quiet,
        Wanted(Along(), {"normalize": how.normalize or "none"}, teller=report),
    )  # fmt: skip


@dataclass(frozen=True)
class Report:
    """Prints what came of a task."""

    evaluation: Evaluation
    how: TaskOptions
    json: bool = False

    def see(self, record: Mapping[str, Any], out: Output) -> None:
        self.evaluation.add(record)

    def end(self, out: Output) -> None:
        asked = {"style": self.how.style, "by": self.how.by, "shuffle": self.how.shuffle}
        if self.how.by == "scores":
            asked["normalize"] = self.how.normalize or "none"
        report = self.evaluation.report() | asked
        out.write(to_json(report) + "\n" if self.json else self._text(report))

    def _text(self, report: Mapping[str, Any]) -> str:
        rows = [(name or "other", *_cells(some)) for name, some in self.evaluation.categories.items()]
        pages = [
            table([("", "right", "asked", "accuracy", "95 % interval"), *rows, ("all", *_cells(self.evaluation.total))])
        ]
        bins = [
            (f"{one.low:.1f} to {one.high:.1f}", f"{one.confidence:.3f}", *_cells(one.accuracy))
            for one in self.evaluation.bins
        ]
        if bins:
            pages.append(table([("confidence", "mean", "right", "asked", "accuracy", "95 % interval"), *bins]))
        return "\n".join([*pages, _settings(report)])


def _cells(found: Accuracy) -> tuple[str, ...]:
    low, high = found.interval
    return str(found.right), str(found.asked), _percent(found.share), f"{_percent(low)} to {_percent(high)}"


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def _settings(report: Mapping[str, Any]) -> str:
    """What is needed to repeat it, a line for each setting."""
    counts = f"{report['failed']} failed, {report['unclear']} unclear"
    asked = {key: report[key] for key in ("by", "style", "normalize", "shuffle") if report.get(key) is not None}
    lines = [counts, _listed(asked)]
    for key in ("models", "sampling", "pixels", "system", "versions"):
        lines += [
            f"{key}: {_listed(one) if isinstance(one, Mapping) else one}" for one in report[key] if one is not None
        ]
    return "".join(f"{line}\n" for line in lines)


def _listed(settings: Mapping[str, Any]) -> str:
    return ", ".join(f"{key} {value}" for key, value in settings.items() if value is not None)
