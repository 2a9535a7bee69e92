# SPDX-License-Identifier: Apache-2.0
"""A list of jobs, answered by a session: what everybody uses who has one."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from itertools import chain
from typing import Any

from llava_cli.batch.batcher import LARGEST, Batcher
from llava_cli.batch.feed import Feed, Tasks
from llava_cli.batch.identity import checkpoint_identity, settings_of
from llava_cli.batch.jobs import Item
from llava_cli.batch.ledger import Ledger, MemoryLedger
from llava_cli.batch.scheduler import Scheduler
from llava_cli.batch.summaries import Summaries
from llava_cli.batch.tally import Tally
from llava_cli.batch.windows import NOTHING_ALONG, Along, Windows
from llava_cli.batch.writers import Outputs, open_writers
from llava_cli.batch.writers.each import Each
from llava_cli.engine.types import Generation
from llava_cli.machine import cores
from llava_cli.request import Request
from llava_cli.session import Session

_MOST_WORKERS = 8
_ROUNDS = 4
"""How many times as many questions as a server is asked at once are handed to it together: one that takes long keeps
its own place only."""
_MOST_FOR_SEVERAL = 64


def default_workers(several: bool = False) -> int:
    """How many processes decode for a list, for one engine or for several: one core is left to the engines."""
    return max(1, min(_MOST_FOR_SEVERAL if several else _MOST_WORKERS, cores() - 1))


@contextmanager
def open_batch(
    session: Session,
    items: Callable[[], Iterable[Item]],
    defaults: Request,
    outputs: Outputs = Outputs(),  # noqa: B008 - frozen
    *,
    asked: Generation | None = None,
    batch_size: int | None = None,
    strict: bool = False,
    along: Along = NOTHING_ALONG,
    see: Callable[[Mapping[str, Any]], None] | None = None,
) -> Iterator[Scheduler]:
    """Open a list and all that its records go to; `results` of what this gives answers it.

    Tables and reports are there once this has ended without an error; the ledger is at any time.

    Args:
        defaults: how jobs are asked that do not say it themselves.
        asked: the generation as the user asked for it, where a seed was drawn for that of `defaults`.
        batch_size: the most questions to answer together.
        strict: stop at the first failure.
        along: what is asked along the time of each video.
        see: called with each record, also with those that earlier runs have left in the ledger.

    Raises:
        UsageError: a server cannot do what `defaults` ask for, or the checkpoint cannot be shown frames as they say.
        OutputError: a file cannot be written, or holds something else.
    """
    session.check(defaults)
    session.view(defaults)  # or each of the jobs would fail for it
    with ExitStack() as stack:
        path = outputs.ledger
        ledger = MemoryLedger() if path is None else Ledger(path, outputs.retry_failed, outputs.force)
        stack.enter_context(closing(ledger))
        writers = [*open_writers(outputs, defaults.wording, along.summary), *([] if see is None else [Each(see)])]
        summaries = Summaries(along.summary_question) if along.summary else None
        writers += filter(None, [summaries])
        for writer in writers:
            stack.callback(writer.discard)
        known = _identity(session)
        tasks = Tasks(defaults, session.view, settings_of(known, asked or defaults.generation), session.limits)
        groups = tasks.groups(Windows(along, defaults.choice, session.pool.windows).of(items()))
        if summaries is not None:
            groups = chain(summaries.watched(groups), tasks.groups(summaries.jobs()))
        feed = stack.enter_context(closing(Feed(groups, ahead=2 * cores())))
        limit = batch_size or LARGEST
        if session.endpoint is not None:
            limit = batch_size or _ROUNDS * session.endpoint.concurrency
        elif defaults.generation.do_sample:
            limit = 1  # it depends on what it is batched with: alone, its seed repeats it
        tally = Tally()
        batcher = Batcher(session, tally, limit)
        window = 2 * (limit + cores())
        scheduler = Scheduler(session, feed, ledger, batcher, tally, writers, strict, window)
        yield stack.enter_context(closing(scheduler))
        for writer in writers:
            writer.close()


def _identity(session: Session) -> dict[str, Any]:
    """What of who answers can change an answer."""
    family, endpoint = session.family, session.endpoint
    if endpoint is not None:
        return {**endpoint.identity, "model": family.checkpoint.name, "family": family.name}
    return checkpoint_identity(family.checkpoint, session.load_options, session.rope_factor)
