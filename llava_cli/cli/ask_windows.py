# SPDX-License-Identifier: Apache-2.0
"""`llava ask --every` and `--scenes`: a question to each window of a video, and an answer from all of them."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import typer

from llava_cli.cli.recording import keep
from llava_cli.errors import ExitCode, UsageError
from llava_cli.output import Output
from llava_cli.record import to_json

if TYPE_CHECKING:
    from llava_cli.batch.windows import Along
    from llava_cli.cli.along import TextName
    from llava_cli.media.worker.pool import DecodePool
    from llava_cli.request import Request
    from llava_cli.session import Session

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Wanted:
    """What of the answers goes where."""

    along: Along
    form: TextName | None
    """A text in the place of records and answers."""
    json: bool
    output: Path | None
    append: bool


def ask_windows(session: Session, requests: Sequence[Request], wanted: Wanted, out: Output) -> None:
    """Ask each question of each window of a request's one video, and then of what was said of them.

    Prints what was said of the whole; all records, or a text made of them, where that is wanted.

    Raises:
        UsageError: there is more than one medium, or none.
        LlavaError: nothing could be answered.
        typer.Exit: some windows failed.
    """
    from llava_cli.batch.jobs import Job
    from llava_cli.batch.run import open_batch
    from llava_cli.batch.writers import Outputs
    from llava_cli.media.opening import open_source

    first = requests[0]
    if len(first.shown) != 1:
        raise UsageError(f"--every and --scenes are for one video, not {len(first.shown)} files")
    jobs = [Job(one.media, one.question, messages=one.history) for one in requests]
    target = out.write if wanted.output is None else wanted.output
    outputs = Outputs() if wanted.form is None else Outputs(form=wanted.form, target=target)
    with ExitStack() as opened:
        name = first.names[0]
        cast("DecodePool", session.pool).opened[name] = opened.enter_context(open_source(name, session.limits))
        defaults = replace(first, question=None, media=(), history=())
        with open_batch(session, lambda: jobs, defaults, outputs, along=wanted.along) as batch:
            results = []
            with out.status.bar() as bar:
                batch.on_progress = lambda tally: bar(tally.seen, None, tally.remark())
                for result in batch.results():
                    if result.error is not None:
                        log.warning("%s", result.error)
                    results.append(result)
    failures = [result.error for result in results if result.error is not None]
    if failures and len(failures) == len(results):
        raise failures[0]
    if wanted.form is None:
        _tell([result.record for result in results], wanted, out)
    if failures:
        raise typer.Exit(ExitCode.SOME_FAILED)


def _tell(records: list[dict[str, Any]], wanted: Wanted, out: Output) -> None:
    records.sort(key=lambda record: (record.get("window") or {"number": 0 if record["media"] else 10**9})["number"])
    if wanted.output is not None:
        keep(wanted.output, wanted.append, *records)
    elif wanted.json:
        out.write("".join(to_json(record) + "\n" for record in records))
    else:
        for record in records:
            if record["status"] == "ok" and not record.get("window"):
                out.write_pieces([record["answer"]]) if out.answers_to_terminal else out.write(record["answer"] + "\n")
