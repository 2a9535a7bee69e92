# SPDX-License-Identifier: Apache-2.0
"""Counting: what became of the jobs so far, and how fast."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from llava_cli.words import counted


@dataclass
class Tally:
    """What became of the jobs so far."""

    done: int = 0
    failed: int = 0
    skipped: int = 0
    """In the ledger already, from an earlier run or because the list names the same job twice."""
    skipped_failures: int = 0
    """Those of the skipped that had failed."""
    cut: int = 0
    """Answers that their longest length cut off."""
    repeated: int = 0
    """Answers that repeat themselves."""
    elsewhere: int = 0
    """Another process is at work on them."""
    engine_s: float = 0.0
    """Seconds in which the engine was answering, or all engines together."""
    engines: int = 1
    """How many there are."""
    started: float = field(default_factory=time.perf_counter)
    current: str = ""
    """The media that are being asked about."""

    def take_back(self, new: bool) -> None:
        """What counted as done, in this run or an earlier one, has failed."""
        if new:
            self.done -= 1
        else:
            self.skipped -= 1
        self.failed += 1

    @property
    def seen(self) -> int:
        return self.done + self.failed + self.skipped + self.elsewhere

    @property
    def wall_s(self) -> float:
        return time.perf_counter() - self.started

    def remark(self) -> str:
        """What a progress bar says beside its numbers."""
        parts = [f"{self.failed} failed" if self.failed else "", f"{self.skipped} skipped" if self.skipped else ""]
        rate = (self.done + self.failed) / max(self.wall_s, 1e-9)
        return "  ".join([*filter(None, parts), f"{rate:.2f}/s", self.current[-40:]])

    def summary(self) -> str:
        """What is said at the end, in one line."""
        made, wall_s = self.done + self.failed, self.wall_s
        parts = [f"{self.done} done", f"{self.failed} failed", f"{self.skipped} skipped"]
        parts += [f"{self.elsewhere} left to other processes"] if self.elsewhere else []
        rate = f"{made / wall_s:.2f} a second" if made else "nothing to do"
        who = "the engine" if self.engines == 1 else f"each of {self.engines} engines"
        share = self.engine_s / self.engines / wall_s
        busy = f", {who} busy {share:.0%} of {wall_s:.1f} s" if self.engine_s else ""
        return f"{', '.join(parts)}; {rate}{busy}"

    def cuts(self) -> str | None:
        """What is said of answers that were cut off."""
        if not self.cut:
            return None
        what = f"{counted(self.cut, 'answer')} {'was' if self.cut == 1 else 'were'} cut off"
        return f"{what}; --max-new-tokens allows longer ones"

    def repetitions(self) -> str | None:
        """What is said of answers that repeat themselves."""
        if not self.repeated:
            return None
        return f"{counted(self.repeated, 'answer')} {'repeats itself' if self.repeated == 1 else 'repeat themselves'}"

    def failures(self, ledger: bool) -> str | None:
        """What is said of failures, at the very end; those of earlier runs count, for they have not been made good."""
        if not (self.failed or self.skipped_failures):
            return None
        before = f", {self.skipped_failures} before" if self.skipped_failures else ""
        return f"{self.failed} failed{before}{'; --retry-failed tries them again' if ledger else ''}"
