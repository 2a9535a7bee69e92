# SPDX-License-Identifier: Apache-2.0
"""A session that only pretends: files decode at once, and answers are the number of frames and the question.

What fits, what is refused and what shows fewer frames is decided by the true `Session`.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future
from pathlib import Path
from types import SimpleNamespace

import numpy as np

from llava_cli.batch.batcher import Batcher
from llava_cli.batch.feed import Tasks
from llava_cli.batch.identity import identity, settings_of
from llava_cli.batch.jobs import Item, Job
from llava_cli.batch.ledger import Ledger, MemoryLedger
from llava_cli.batch.run import open_batch
from llava_cli.batch.scheduler import Scheduler
from llava_cli.batch.tally import Tally
from llava_cli.batch.task import RecordGroup
from llava_cli.batch.writers import Outputs
from llava_cli.engine.context import TooLong
from llava_cli.engine.memory import MemoryPlan
from llava_cli.engine.types import Completion, Generation, LoadOptions, ModelInfo, Query
from llava_cli.errors import InputError, ModelError, OutOfMemory
from llava_cli.media.clip import Clip, Media, MediaInfo, Sampling, View
from llava_cli.media.limits import Limits
from llava_cli.media.windows import Division, Window
from llava_cli.media.worker.parent import NotStarted
from llava_cli.media.worker.pool import Decoded
from llava_cli.media.worker.wire import DecoderBug
from llava_cli.models.checkpoint import Checkpoint
from llava_cli.models.messages import Conversation
from llava_cli.models.prompt import Prompt
from llava_cli.request import FrameChoice, Request
from llava_cli.session import Session

INFO = ModelInfo("stub", None, "stub", "float32", None, "cpu", "sdpa")
VIEW = View((2, 2), "crop", Sampling("uniform", 4))

NASTY = '<script>alert("x")</script>, "quoted"\nand\udcff more'
RECORD = {"id": 1, "status": "ok", "media": [{"path": NASTY}], "question": NASTY, "answer": NASTY}
"""What no writer may take for anything but text."""


class Pool:
    """Every file shows as many frames as are wanted, except bad ones."""

    def __init__(self) -> None:
        self.decoded: list[tuple[str, ...]] = []

    def submit(self, media: Sequence[tuple[str, View]]) -> Future[Decoded]:
        names = tuple(name for name, _ in media)
        self.decoded.append(names)
        future: Future[Decoded] = Future()
        name = ", ".join(names)
        if "bad" in name:
            future.set_exception(InputError(f"{name}: is bad"))
        elif "bug" in name:
            future.set_exception(DecoderBug("Traceback\nLookupError: unforeseen"))
        elif "machine" in name:
            future.set_exception(NotStarted("the decoding process does not start"))
        else:
            future.set_result(Decoded([clip(name, view) for name, view in media], 0.5))
        return future

    def windows(
        self, name: str, division: Division, start: float | None = None, end: float | None = None
    ) -> list[Window]:
        """Every video lasts 10 seconds, with cuts at 3 and 7; pictures have no windows."""
        if "bad" in name:
            raise InputError(f"{name}: is bad")
        return [] if name.endswith(".png") else division.over(start or 0.0, min(end or 10.0, 10.0), (3.0, 7.0))

    def whole(self, media: Sequence[Media]) -> Sequence[Media]:
        return media


def clip(name: str, view: View) -> Clip:
    count = view.sampling.frames
    warnings = ("is odd",) if "odd" in name else ()
    info = MediaInfo(name, "video", 2, 2, None, "pyav", warnings=warnings)
    pixels = np.zeros((count, 2, 2, 3), np.uint8)
    return Clip(pixels, tuple(range(count)), tuple(map(float, range(count))), info, view.sampling)


class ReadyFeed:
    """A list that is never waited for."""

    def __init__(self, groups: Iterator[RecordGroup]) -> None:
        self._groups = groups
        self.ended = False

    def next(self, wait_s: float) -> RecordGroup | None:
        group = next(self._groups, None)
        self.ended = group is None
        return group


class Engine:
    """Too large batches, or too many frames, are too much for it."""

    info = INFO

    def __init__(self, holds: int = 100, frames: int = 100) -> None:
        self.batches: list[list[str]] = []
        self._holds, self._frames = holds, frames

    def answer(self, batch: Sequence[Query]) -> list[Completion]:
        asks = [query.conversation for query in batch]
        questions = [question_of(ask) for ask in asks]
        self.batches.append(questions)
        if len(asks) > self._holds or any(len(shown.frames) > self._frames for ask in asks for shown in ask.media):
            raise OutOfMemory("too much")
        if any("odd" in question for question in questions):
            raise ModelError("odd question")
        if any("bug" in question for question in questions):
            raise ZeroDivisionError("oops")
        return [
            Completion(
                f"{sum(len(m.frames) for m in a.media)} frames: {q}",
                "stop",
                a.media,
                (1,) * len(a.media),
                5,
                3,
                "family",
            )
            for a, q in zip(asks, questions, strict=True)
        ]


def question_of(ask: Conversation) -> str:
    return ask.turns[-1].parts[-1]


class StubSession(Session):
    """Batches of 8 fit into its memory, 50 frames into its context; words like `untokenizable` are not foreseen."""

    def __init__(self, engine: Engine | None = None) -> None:
        self.pool, self.engine = Pool(), engine or Engine()
        checkpoint = Checkpoint("stub", None, {}, "a/stub", "0")
        self.family = SimpleNamespace(
            view=VIEW, view_with=lambda *_: VIEW, frames_with_room=lambda view: 50, checkpoint=checkpoint,
            remarks=lambda media: (), doubts=lambda dtype: (), vision_patches=lambda media: 0,
        )  # fmt: skip
        self.load_options, self.rope_factor, self.limits = LoadOptions(), None, Limits()
        self._spread = None
        self.free = 9.0
        self._told_of_device, self._told = True, set()
        self.loader = SimpleNamespace(info=INFO, prompt=self._prompt, plan=self._plan, check_memory=self._check)

    def close(self) -> None:
        pass

    def _prompt(self, ask: Conversation, new_tokens: int) -> Prompt:
        question, frames = question_of(ask), len(ask.media[0].frames)
        question.encode()
        if "untokenizable" in question:
            raise LookupError("no such token")
        if frames > 50:
            raise TooLong(frames, 50, 50)
        return Prompt([0] * len(question), ask.media, (1,) * len(ask.media), 1, question, "family")

    def _plan(self, prompts: Sequence[tuple[int, int]], patches: int | None = None) -> MemoryPlan:
        return MemoryPlan(0, len(prompts), 0, self.free, fixed=0)

    def _check(self, prompts: Sequence[tuple[int, int]], patches: int | None = None) -> None:
        if self._plan(prompts).total > self.free:
            raise OutOfMemory("it does not fit")


def run(
    items: Iterable[Item], engine=None, ledger=None, writers=(), generation=None, limit=64, stop=None,
    fit=False, session=None, **rules: object,
) -> SimpleNamespace:  # fmt: skip
    """What becomes of a list."""
    session, tally, generation = session or StubSession(engine), Tally(), generation or Generation()
    defaults = Request(choice=FrameChoice(), fit=fit, generation=generation)
    tasks = Tasks(defaults, session.view, settings_of({}, generation))
    batcher = Batcher(session, tally, limit)
    ledger = MemoryLedger() if ledger is None else ledger
    scheduler = Scheduler(session, ReadyFeed(tasks.groups(items)), ledger, batcher, tally, writers, **rules)
    results = list(scheduler.results(stop))
    return SimpleNamespace(
        records=[result.record for result in results], results=results, tally=tally, pool=session.pool,
        engine=vars(session).get("engine"), batcher=batcher, scheduler=scheduler,
    )  # fmt: skip


def clips(count: int, question: str = "Why?", **more: object) -> list[Job]:
    return [Job((f"{n}.mp4",), question, **more) for n in range(count)]


def record(number: int, status: str = "ok", **more: object) -> dict:
    """A ledger's record, as far as ledgers look at it."""
    key = f"{number:032x}{number:032x}"
    return {"schema_version": 1, "id": f"id-{number}", "status": status, "key": key, "media": [{"path": "a"}], **more}


def name(number: int) -> bytes:
    """The identity of a record."""
    return identity(f"{number:032x}{number:032x}", f"id-{number}", ["a"])


def filled(path: Path, *records: dict) -> None:
    """Write a ledger."""
    ledger = Ledger(path)
    for one in records:
        ledger.append(one)
    ledger.close()


def answer_60(path: str) -> None:
    """Answer 60 jobs, of which one in ten fails, and print the id of each when it is done."""
    jobs = [
        Job(("bad.mp4" if number % 10 == 0 else "a.mp4",), f"Why {number}?", f"id-{number}") for number in range(60)
    ]
    with open_batch(StubSession(), lambda: jobs, Request(), Outputs(Path(path)), batch_size=3) as batch:
        for result in batch.results():
            print(result.record["id"], flush=True)
            time.sleep(0.01)
