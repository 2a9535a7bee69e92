# SPDX-License-Identifier: Apache-2.0
"""Many jobs, from a list to records: what `llava caption` and `llava batch` have in common."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import typer

from llava_cli.cli import options, steps
from llava_cli.cli.batch_options import BatchOptions, ListOptions, OutputOptions
from llava_cli.errors import ExitCode
from llava_cli.output import Output, batch_bar, check_writable, complain
from llava_cli.record import to_json

if TYPE_CHECKING:
    from llava_cli.batch.asking import Asking
    from llava_cli.batch.feed import Count
    from llava_cli.batch.jobs import Item, Job
    from llava_cli.batch.ledger import Ledger, Untold
    from llava_cli.batch.schedule import Scheduler, Sink, Tally
    from llava_cli.engine.loader import Loader
    from llava_cli.engine.types import Engine, Generation, LoadOptions
    from llava_cli.media.clip import View
    from llava_cli.media.limits import Limits
    from llava_cli.models.messages import Conversation

_WORKERS = 8


@dataclass(frozen=True)
class List:
    """Where jobs come from."""

    items: Callable[[], Iterable[Item]]
    rereadable: bool
    """A file or a folder, not a pipe: it can be counted beforehand."""
    selection: ListOptions = field(default_factory=ListOptions)

    def read(self) -> Iterator[Item]:
        """The jobs that are to be done."""
        from llava_cli.batch.feed import shard

        items: Iterable[Item] = self.items()
        part = self.selection.shard
        if part is not None:
            items = shard(items, part.number, part.count)
        return itertools.islice(items, self.selection.limit)


def work(
    jobs: List,
    choice: options.ModelOptions,
    showing: options.FrameOptions,
    answering: options.GenerationOptions,
    machine: LoadOptions,
    delivery: OutputOptions,
    manner: BatchOptions,
    limits: Limits,
    out: Output,
    load: Callable[[Loader, Output], Engine] = steps.load_engine,
) -> float:
    """Do all jobs; returns the seconds from the first to the last."""
    from llava_cli.batch.entry import Recorder
    from llava_cli.batch.feed import Count, Feed, grouped
    from llava_cli.batch.identity import Identifier, checkpoint_identity
    from llava_cli.batch.schedule import Rules, Scheduler
    from llava_cli.machine import cores
    from llava_cli.media.worker.pool import DecodePool

    generation = answering.generation()
    for path in (delivery.ledger, delivery.csv, delivery.report):
        check_writable(path)
    with ExitStack() as stack:
        ledger = _open_ledger(delivery)
        stack.callback(ledger.close)
        sinks = _sinks(delivery)
        for sink in sinks:
            stack.callback(sink.discard)
        family = steps.open_family(choice, out)
        known = checkpoint_identity(family.checkpoint, machine, choice.rope_factor)
        identifier = Identifier(known, answering.asked, lambda job: _view(job, showing, family.view), answering.system)
        workers = manner.workers or max(1, min(_WORKERS, cores() - 1))
        feed = Feed(grouped(jobs.read(), identifier), ahead=2 * workers)
        pool = DecodePool(workers, replace(limits, pipes=False))
        stack.callback(pool.close)
        loader = steps.open_loader(family, machine, out)
        loader.check_memory([])
        engine = _Once(lambda: load(loader, out))
        asking = _asking(loader, engine, generation, manner, out)
        told = partial(_told, out, delivery.ledger is None)
        recorder = Recorder(generation, lambda: loader.info, answering.system)
        rules = Rules(
            view_of=lambda job: _view(job, showing, family.view),
            system=answering.system,
            fit=showing.fit,
            strict=manner.strict,
            window=2 * (asking.limit + workers),
        )
        scheduler = Scheduler(feed, pool, asking, recorder, ledger, sinks, rules, told)
        count = Count(jobs.read if jobs.rereadable else None)
        _run(scheduler, asking, sinks, count, delivery, out)
        return scheduler.tally.wall_s


def _run(
    scheduler: Scheduler, asking: Asking, sinks: list[Sink], count: Count, delivery: OutputOptions, out: Output
) -> None:
    from llava_cli.batch.stop import deferred_signals

    notice = "llava: stopping after what is in hand; once more ends at once"
    with deferred_signals(lambda: out.say(notice)) as stop:
        try:
            with batch_bar(out) as bar:
                scheduler.on_progress = lambda tally: bar(tally.seen, count.value, _remark(tally))
                scheduler.run(stop)
            for sink in sinks:
                sink.close()
        finally:
            tally = scheduler.tally
            out.say(_summary(tally, asking))
        stop.check()
    # What failed in an earlier run has not been done since: a list that went on to its end is not yet all done.
    if tally.failed or tally.skipped_failures:
        before = f", {tally.skipped_failures} before" if tally.skipped_failures else ""
        again = "; --retry-failed tries them again" if delivery.ledger else ""
        complain(f"llava: {tally.failed} failed{before}{again}")
        raise typer.Exit(ExitCode.SOME_FAILED)


def _asking(loader: Loader, engine: _Once, generation: Generation, manner: BatchOptions, out: Output) -> Asking:
    from llava_cli.batch.asking import Asking
    from llava_cli.batch.capacity import Capacity
    from llava_cli.engine.context import fitting_prompt

    def tokens(ask: Conversation) -> int:
        return len(fitting_prompt(loader.family, loader.tokenizer, ask, generation.max_new_tokens).ids)

    capacity = Capacity(loader, generation.max_new_tokens)
    return Asking(engine, tokens, generation, capacity.fits, out.say, manner.batch_size or None)


def _told(out: Output, print_it: bool, record: dict[str, Any]) -> None:
    """A record has been made."""
    if print_it:
        out.write(to_json(record) + "\n")
    if record["status"] == "error":
        out.say(f"llava: {record['error']['message']}")


class _Once:
    """Loads the engine when it is first needed: not at all where everything is done already."""

    def __init__(self, load: Callable[[], Engine]) -> None:
        self._load = load
        self._engine: Engine | None = None

    def __call__(self) -> Engine:
        if self._engine is None:
            self._engine = self._load()
        return self._engine


def _view(job: Job, showing: options.FrameOptions, view: View) -> View:
    """How a job's media are shown: as it says itself, or else as the command line does."""
    own = {key: value for key in ("start", "end", "frames") if (value := getattr(job, key)) is not None}
    return replace(showing, **own).of(view)


def _open_ledger(delivery: OutputOptions) -> Ledger | Untold:
    from llava_cli.batch.ledger import Ledger, Untold

    if delivery.ledger is None:
        return Untold()
    return Ledger(delivery.ledger, delivery.retry_failed, delivery.force)


def _sinks(delivery: OutputOptions) -> list[Sink]:
    from llava_cli.batch.report import Report
    from llava_cli.batch.sidecar import Sidecars
    from llava_cli.batch.tables import CsvFile

    sinks: list[Sink] = []
    if delivery.csv is not None:
        sinks.append(CsvFile(delivery.csv))
    if delivery.report is not None:
        sinks.append(Report(delivery.report))
    if delivery.sidecar is not None:
        sinks.append(Sidecars(delivery.sidecar, delivery.output_dir))
    return sinks


def _remark(tally: Tally) -> str:
    parts = [f"{tally.failed} failed" if tally.failed else "", f"{tally.skipped} skipped" if tally.skipped else ""]
    rate = (tally.done + tally.failed) / max(tally.wall_s, 1e-9)
    return "  ".join([*filter(None, parts), f"{rate:.2f}/s", tally.current[-40:]])


def _summary(tally: Tally, asking: Asking) -> str:
    made = tally.done + tally.failed
    parts = [f"{tally.done} done", f"{tally.failed} failed", f"{tally.skipped} skipped"]
    parts += [f"{tally.elsewhere} left to other processes"] if tally.elsewhere else []
    wall = tally.wall_s
    rate = f"{made / wall:.2f} a second" if made else "nothing to do"
    busy = f", the engine busy {asking.busy_s / wall:.0%} of {wall:.1f} s" if asking.busy_s else ""
    return f"llava: {', '.join(parts)}; {rate}{busy}"
