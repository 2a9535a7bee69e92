# SPDX-License-Identifier: Apache-2.0
"""A list of jobs, answered by a session: what everybody uses who has one."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, closing, contextmanager

from llava_cli.batch.batcher import LARGEST, Batcher
from llava_cli.batch.feed import Feed, Tasks
from llava_cli.batch.identity import checkpoint_identity, settings_of
from llava_cli.batch.jobs import Item
from llava_cli.batch.ledger import Ledger, MemoryLedger
from llava_cli.batch.scheduler import Scheduler
from llava_cli.batch.tally import Tally
from llava_cli.batch.writers import Outputs, open_writers
from llava_cli.engine.types import Generation
from llava_cli.machine import cores
from llava_cli.request import Request
from llava_cli.session import Session

_MOST_WORKERS = 8


def default_workers() -> int:
    """How many processes decode for a list: one core is left to the engine."""
    return max(1, min(_MOST_WORKERS, cores() - 1))


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
) -> Iterator[Scheduler]:
    """Open a list and all that its records go to; `results` of what this gives answers it.

    Tables and reports are there once this has ended without an error; the ledger is at any time.

    Args:
        defaults: how jobs are asked that do not say it themselves.
        asked: the generation as the user asked for it, where a seed was drawn for that of `defaults`.
        batch_size: the most questions to answer together.
        strict: stop at the first failure.

    Raises:
        OutputError: a file cannot be written, or holds something else.
        UsageError: the checkpoint cannot be shown frames as `defaults` say.
    """
    session.view(defaults)  # or each of the jobs would fail for it
    with ExitStack() as stack:
        path = outputs.ledger
        ledger = MemoryLedger() if path is None else Ledger(path, outputs.retry_failed, outputs.force)
        stack.enter_context(closing(ledger))
        writers = open_writers(outputs)
        for writer in writers:
            stack.callback(writer.discard)
        known = checkpoint_identity(session.family.checkpoint, session.load_options, session.rope_factor)
        tasks = Tasks(defaults, session.view, settings_of(known, asked or defaults.generation), session.limits)
        feed = stack.enter_context(closing(Feed(tasks.groups(items()), ahead=2 * cores())))
        # A sampled answer depends on what it is batched with: alone, its seed repeats it.
        limit = 1 if defaults.generation.do_sample else batch_size or LARGEST
        tally = Tally()
        batcher = Batcher(session, tally, limit)
        window = 2 * (limit + cores())
        scheduler = Scheduler(session, feed, ledger, batcher, tally, writers, strict, window)
        yield stack.enter_context(closing(scheduler))
        for writer in writers:
            writer.close()
