# SPDX-License-Identifier: Apache-2.0
"""The seam between a list and whatever answers it: one engine in this process, or several elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Protocol

from llava_cli.engine.placement import Room
from llava_cli.engine.types import Completion, LoadOptions, ModelInfo, Query
from llava_cli.errors import LlavaError
from llava_cli.media.limits import Limits
from llava_cli.media.worker.pool import Decoding
from llava_cli.models.checkpoint import Checkpoint
from llava_cli.progress import Progress


@dataclass(frozen=True)
class Terms:
    """What an engine that has started says of itself, before it reads its weights."""

    info: ModelInfo
    rooms: tuple[Room, ...]
    """Its devices, and what it may use of each."""


@dataclass(frozen=True)
class Outcome:
    """What became of a batch."""

    model: ModelInfo
    """Who answered."""
    said: list[Completion | LlavaError] | LlavaError
    """An answer to each question, or why it has none; or why none has: then nobody knows yet whose fault it is."""
    seconds: float


class Died(Exception):
    """The process of an engine has ended while it had something in hand; the text says how."""


class Left(Exception):
    """The node of an engine has left, and the engine with it."""


class Engines(Protocol):
    """Those that answer a list. Used by one thread."""

    @property
    def size(self) -> int:
        """How many there are, or will soon be; at least 1."""
        ...

    def idle(self) -> int:
        """How many batches can be handed out now.

        Raises:
            LlavaError: no engine is left.
        """
        ...

    def terms(self) -> Terms | None:
        """What they run in, once one has started; None is for that of the session itself.

        Raises:
            LlavaError: none can be started.
        """
        ...

    def load(self) -> None:
        """Have what answering takes, before the first batch is handed out.

        Raises:
            ModelError, OutOfMemory: the checkpoint cannot be had, or does not fit.
        """
        ...

    def submit(self, batch: Sequence[Query]) -> Future[Outcome]:
        """Have a batch answered. The future's exception is `Died` where that ended the engine."""
        ...

    def close(self) -> None:
        """End them at once, whatever they do."""
        ...


class Seat(Protocol):
    """A place for one engine: a GPU, a share of a node. Used by one thread; only `kill` is for any.

    Every call but `kill` and `end` raises `Died` where the engine's process ends.
    """

    name: str
    """Where it is, for people."""

    def start(self) -> Terms:
        """Have a fresh process, in the place of one that there may be.

        Raises:
            LlavaError: the checkpoint or the device cannot be used there.
            Left: there is no such place any more.
        """
        ...

    def load(self) -> None:
        """Have it read the weights, and answer something that nothing can be wrong with."""
        ...

    def answer(self, batch: Sequence[Query]) -> Outcome:
        """Have it answer."""
        ...

    def kill(self) -> None:
        """End the process at once, and for good."""
        ...

    def end(self) -> None:
        """Give back what the place holds."""
        ...


class Spread(Protocol):
    """Where a list's engines are, when they are several."""

    def decoders(self, here: Callable[[], Decoding], limits: Limits) -> Decoding:
        """What decodes for them; `here` makes what does so on this machine, and is closed with it."""
        ...

    def engines(self, checkpoint: Checkpoint, options: LoadOptions, progress: Progress) -> Engines:
        """The engines, about to start.

        Raises:
            LlavaError: there are no such places.
        """
        ...
