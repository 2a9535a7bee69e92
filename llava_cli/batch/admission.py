# SPDX-License-Identifier: Apache-2.0
"""Which jobs are to be done here: not what the ledger holds, what another process does, or what the list repeats."""

from __future__ import annotations

from llava_cli.batch.index import Index, LedgerEntry
from llava_cli.batch.ledger import Ledger, MemoryLedger
from llava_cli.batch.tally import Tally
from llava_cli.batch.task import RecordGroup, Task


class Admission:
    """Sorts out a list as it comes."""

    def __init__(self, ledger: Ledger | MemoryLedger, tally: Tally, keep_records: bool) -> None:
        """`keep_records`: hand on what the ledger holds of a group, for writers."""
        self._ledger, self._tally = ledger, tally
        self._in_hand: set[bytes] = set()
        self._same: dict[str, list[Task]] = {}
        """Tasks that wait for the same work, by its key; the first does it."""
        self.waiting = 0
        """How many tasks wait for others."""
        self._handed_on = Index() if keep_records else None
        """Whose records the writers have been given: a job that is listed twice is one record."""

    def admit(self, group: RecordGroup) -> list[Task]:
        """Those of a group that are to be done here; records of the others go to the group, where they are kept."""
        fresh: dict[bytes, Task] = {}
        for task in group.tasks:
            if task.identity in self._in_hand or task.identity in fresh:
                self._tally.skipped += 1
            else:
                fresh[task.identity] = task
        missing = [identity for identity in fresh if self._ledger.find(identity) is None]
        ours = self._ledger.claim(missing) if missing else set()
        for identity in fresh.keys() - ours:
            self._skip(identity, group)
        self._in_hand |= ours
        return [task for identity, task in fresh.items() if identity in ours]

    def begin(self, task: Task) -> bool:
        """Whether this task is to be answered; where another one asks the same, it waits for that instead."""
        if task.key in self._same:
            self._same[task.key].append(task)
            self.waiting += 1
            return False
        self._same[task.key] = []
        return True

    def settle(self, task: Task, ok: bool) -> list[Task]:
        """A task has its record. Those that waited for its answer; or the one of them that is to try next."""
        self._in_hand.discard(task.identity)
        if self._handed_on is not None:
            self._handed_on.add(task.identity, task.key, LedgerEntry(-1, ok))
        waiting = self._same.pop(task.key, [])
        if waiting and not ok:
            self._same[task.key] = waiting[1:]
            waiting = waiting[:1]
        self.waiting -= len(waiting)
        return waiting

    def close(self) -> None:
        if self._handed_on is not None:
            self._handed_on.close()

    def _skip(self, identity: bytes, group: RecordGroup) -> None:
        entry = self._ledger.find(identity)
        if entry is None:
            self._tally.elsewhere += 1
            return
        self._tally.skipped += 1
        self._tally.skipped_failures += not entry.ok
        if self._handed_on is not None and entry.offset >= 0 and self._handed_on.find(identity) is None:
            self._handed_on.add(identity, "", entry)
            group.records.append((self._ledger.read(entry.offset), False))
