# SPDX-License-Identifier: Apache-2.0
"""`llava batch`: a list of jobs, each with its own media and question."""

from __future__ import annotations

import logging
import shlex
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, BinaryIO, Literal, Protocol

import typer

from llava_cli.atomic import check_writable
from llava_cli.cli import along, batch_options, ledgers, options, values
from llava_cli.cli.along import TextName
from llava_cli.cli.command import App, CommandWithOthers
from llava_cli.cli.endpoint_options import EndpointOptions
from llava_cli.cli.grouping import Without
from llava_cli.cli.help import COMMON
from llava_cli.cli.questions import read_questions
from llava_cli.cli.recording import check_file
from llava_cli.cli.score_options import ScoreOptions
from llava_cli.cli.shape_options import ShapeOptions
from llava_cli.errors import ExitCode, InputError, UsageError
from llava_cli.media.sampling import clock
from llava_cli.output import Output, console
from llava_cli.record import to_json
from llava_cli.request import Request
from llava_cli.stdin import open_stdin, stdin_is_terminal
from llava_cli.words import one_line

if TYPE_CHECKING:
    from llava_cli.batch.jobs import Item
    from llava_cli.batch.windows import Along
    from llava_cli.batch.writers import Outputs

log = logging.getLogger(__name__)

EXAMPLES = """
Examples:

  llava batch jobs.jsonl -o answers.jsonl

  llava batch jobs.csv -o answers.jsonl --report answers.html

  jq -c '{id, media: .file, question: "Why?"}' list.jsonl | llava batch -

A job: {"id": "7", "media": "clip.mp4", "question": "What happens?", "start": 10, "end": "1:30", "frames": 16}
"""

Jobs = Annotated[
    str,
    typer.Argument(
        metavar="JOBS",
        help="JSON Lines or CSV with media (a path or a list of paths) and question, or with messages (a conversation, "
        "see llava-record(5)), and perhaps id, system, raw, start, end, frames, choices, schema, regex, grammar; "
        "anything else is copied to the record. '-' is standard input.",
    ),
]
Prompt = Annotated[
    str | None,
    typer.Option("--prompt", "-p", metavar="TEXT", help="The question of jobs without one."),
    COMMON,
]
Format = Annotated[
    Literal["jsonl", "csv"] | None,
    typer.Option(
        "--format",
        metavar="jsonl|csv",
        parser=values.one_of(Literal["jsonl", "csv"]),
        help="Format of the list.",
        show_default="by its name",
    ),
]


app = App(cls=CommandWithOthers, invoke_without_command=True)
app.command("export", epilog=ledgers.EXPORT_EXAMPLES)(ledgers.export)
app.command("show", epilog=ledgers.SHOW_EXAMPLES)(ledgers.show)


@app.callback(epilog=EXAMPLES)
def batch(
    jobs: Jobs,
    prompt: Prompt = None,
    format: Format = None,
    *,
    selection: batch_options.ListOptions,
    model: Annotated[options.ModelOptions, Without("dummy")],
    frames: options.FrameOptions,
    generation: options.GenerationOptions,
    windows: along.WindowOptions,
    wording: Annotated[along.WordingOptions, Without("prefix", "suffix")],
    retry_loops: along.RetryLoops = False,
    scores: ScoreOptions,
    shape: ShapeOptions,
    device: options.DeviceOptions,
    endpoint: EndpointOptions,
    batching: batch_options.BatchOptions,
    engines: batch_options.EngineOptions,
    limits: options.LimitOptions = batch_options.LIMITS,
    outputs: Annotated[batch_options.OutputOptions, Without("sidecar", "output_dir", "overwrite")],
    quiet: options.Quiet = False,
) -> None:
    """Answer a list of questions about videos and images.

    Prints a record per job, or appends them to --output; the same command, run again, continues where it stopped.
    Exit code 1: some jobs failed.
    """
    if jobs == prompt == "-":
        raise UsageError("standard input (-) can be read only once")
    (question,) = read_questions([prompt]) if prompt is not None else [None]
    if jobs == "-" and stdin_is_terminal():
        raise UsageError("standard input is a terminal; pipe a list of jobs into it, or name one")
    as_csv = format == "csv" or (format is None and jobs.lower().endswith(".csv"))
    if is_regular(jobs) or (jobs != "-" and not Path(jobs).exists()):
        _check_text(jobs)
    listed = JobList(lambda: _read(jobs, as_csv, question), is_regular(jobs), selection)
    asked = {"wording": wording.wording(), "retry_loops": retry_loops, "constraint": shape.constraint()}
    asked |= scores.asked(choices_to_come=True)
    wanted = Wanted(windows.along(), asked)
    answer_all(listed, model, frames, generation, device, endpoint, batching, engines, limits, outputs, quiet, wanted)


@dataclass(frozen=True)
class Wanted:
    """What is wanted of answers besides records."""

    along: Along
    asked: Mapping[str, Any]
    """What is asked of all besides, as arguments of a request."""
    form: TextName | None = None
    """One text for the run, in the place of records."""
    for_people: bool = False
    """On a terminal, print answers and not records."""
    teller: Teller | None = None
    """Prints something else than records."""
    some_failed: int = ExitCode.SOME_FAILED
    """What to end with where some jobs failed."""


@dataclass(frozen=True)
class JobList:
    """Where jobs come from."""

    items: Callable[[], Iterable[Item]]
    rereadable: bool
    """A file or a folder, not a pipe: it can be counted beforehand."""
    selection: batch_options.ListOptions

    def read(self) -> Iterator[Item]:
        """The jobs that are to be done."""
        from llava_cli.batch.feed import selected

        part = self.selection.shard
        return selected(self.items(), None if part is None else (part.number, part.count), self.selection.limit)


class Teller(Protocol):
    """Prints what a command makes of a list's records."""

    def see(self, record: Mapping[str, Any], out: Output) -> None:
        """A record is there, made in this run or an earlier one."""

    def end(self, out: Output) -> None:
        """There will be no more."""


def answer_all(
    jobs: JobList,
    model: options.ModelOptions,
    frames: options.FrameOptions,
    generation: options.GenerationOptions,
    device: options.DeviceOptions,
    endpoint: EndpointOptions,
    batching: batch_options.BatchOptions,
    engines: batch_options.EngineOptions,
    limits: options.LimitOptions,
    outputs: batch_options.OutputOptions,
    quiet: bool,
    wanted: Wanted,
) -> None:
    """Answer a list, and say how it went.

    Raises:
        typer.Exit: some jobs failed.
    """
    from llava_cli.batch.feed import Count
    from llava_cli.batch.run import default_workers, open_batch
    from llava_cli.batch.stop import deferred_signals
    from llava_cli.session import Session

    teller, for_people = wanted.teller, wanted.for_people
    if outputs.ledger == options.STDOUT:
        if teller is not None:
            raise UsageError("--output names the file that keeps the records; --json prints instead")
        outputs, for_people = replace(outputs, ledger=None), False
    settings = model.session() | device.session() | endpoint.session(model, device)
    settings |= {"limits": replace(limits.for_media(), pipes=False)}
    spread = engines.spread(device)
    if settings["endpoint"] is not None and spread is not None:
        raise UsageError("--endpoint cannot be used together with --gpus or --ray: its server has its own engines")
    workers = batching.workers or default_workers(several=spread is not None)
    defaults = Request(
        choice=frames.choice(), fit=frames.fit, generation=generation.generation(), **generation.wording(),
        **wanted.asked,
    )  # fmt: skip
    for path in (outputs.ledger, outputs.csv, outputs.report):
        check_writable(path)
    if wanted.form is not None:
        check_file(outputs.ledger, append=False)  # a ledger is not to be lost to a text
    with (
        console(quiet) as out,
        Session(**settings, workers=workers, spread=spread, progress=out.progress) as session,
    ):
        with (
            open_batch(
                session,
                jobs.read,
                defaults,
                _outputs(outputs, wanted, out),
                asked=generation.asked,
                batch_size=batching.batch_size,
                strict=batching.strict,
                along=wanted.along,
                see=None if teller is None else lambda record: teller.see(record, out),
            ) as batch,
            deferred_signals((lambda: None) if quiet else None) as stop,
            out.status.bar() as bar,
        ):
            # How many windows there will be is not known before all files have been looked at.
            count = Count(jobs.read if jobs.rereadable and not wanted.along.division else None)
            batch.on_progress = lambda tally: bar(tally.seen, count.value, tally.remark())
            try:
                for result in batch.results(stop):
                    if wanted.form is not None or teller is not None:
                        pass
                    elif outputs.ledger is None and for_people and out.answers_to_terminal:
                        _show(result.record, out)
                    elif outputs.ledger is None:
                        out.write(to_json(result.record) + "\n")
                    if result.error is not None:
                        log.warning("%s", result.error)
            finally:
                log.info(batch.tally.summary())
                if cut := batch.tally.cuts():
                    log.warning(cut)
                if repetitions := batch.tally.repetitions():
                    log.warning(repetitions)
        stop.check()
        if teller is not None:
            teller.end(out)
        failures = batch.tally.failures(outputs.ledger is not None)
        if failures:
            log.error(failures)
            raise typer.Exit(wanted.some_failed)


def _outputs(given: batch_options.OutputOptions, wanted: Wanted, out: Output) -> Outputs:
    """Where records go; a text in their place goes where they would."""
    from llava_cli.batch.writers import Outputs

    outputs = Outputs(**vars(given))
    if wanted.form is None:
        return outputs
    return replace(outputs, ledger=None, form=wanted.form, target=given.ledger or out.write)


def _show(record: Mapping[str, Any], out: Output) -> None:
    """A record's answer behind the names of its files; why there is none is said on stderr."""
    if record["status"] == "ok":
        text = record["caption"]["text"] if "caption" in record else record["answer"]
        out.write_pieces([f"{about(record)}: {text}"])


def about(record: Mapping[str, Any]) -> str:
    """What a record is about: the names of its files, and when of them."""
    if summary := record.get("summary"):
        return one_line(summary["path"])
    names = one_line(", ".join(medium["path"] for medium in record["media"]))
    window = record.get("window")
    return f"{names} {clock(window['start'])} - {clock(window['end'])}" if window else names


def open_list(name: str) -> BinaryIO:
    """A list to read from; '-' is standard input.

    Raises:
        InputError: it cannot be read.
    """
    if name == "-":
        return open_stdin()
    try:
        return open(name, "rb")  # noqa: PTH123 - names of any bytes
    except (OSError, ValueError) as error:
        raise InputError(f"{name}: cannot be read: {getattr(error, 'strerror', None) or error}") from error


def _check_text(name: str) -> None:
    """Find out before the work that a list cannot be read, or is none."""
    with open_list(name) as stream:
        if b"\0" in stream.read(1024):
            raise InputError(
                f"{name}: is no text in UTF-8, as JSON Lines and CSV are; to ask about the file itself: "
                f"llava caption {shlex.quote(name)}"
            )


def is_regular(name: str) -> bool:
    """Whether a list is a file that can be read again."""
    return name != "-" and Path(name).is_file()


def _read(name: str, as_csv: bool, question: str | None) -> Iterator[Item]:
    from llava_cli.batch.jobs import read_csv, read_jsonl

    with open_list(name) as stream:
        yield from (read_csv if as_csv else read_jsonl)(stream, name, question)
