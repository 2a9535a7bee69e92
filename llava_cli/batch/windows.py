# SPDX-License-Identifier: Apache-2.0
"""A list in which each video has become its windows: jobs of their own, before anything else is done with them."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import CancelledError
from dataclasses import dataclass, replace
from pathlib import Path

from llava_cli.batch.jobs import Item, Job
from llava_cli.batch.task import failure_of
from llava_cli.bugs import ENDINGS
from llava_cli.cues import Cue, read_cues, within
from llava_cli.errors import InputError
from llava_cli.media.named import WHOLE
from llava_cli.media.windows import WHOLE_VIDEO, Division, Window
from llava_cli.media.worker.parent import NotStarted
from llava_cli.models.messages import MediaPath, media_path
from llava_cli.preface import TITLE
from llava_cli.request import FrameChoice

_TOGETHER = 64
"""Jobs about the same that are held at once."""

LookUp = Callable[[str, Division, float | None, float | None], list[Window]]
"""Gives the windows of a file between two times; see `DecodePool.windows`."""


@dataclass(frozen=True)
class Along:
    """What is asked along the time of each video of a run."""

    division: Division = WHOLE_VIDEO
    """How videos become windows, where a job does not say it itself."""
    subtitles: str | None = None
    """A file, whose cues of what is shown stand before the questions."""
    titles: bool = False
    """Each window is also asked for a title."""
    summary: bool = False
    """The windows' answers are put to the checkpoint once more, for an answer about all of the video."""
    summary_question: str | None = None
    """What is asked about them; None asks the windows' own question again."""


NOTHING_ALONG = Along()


class Windows:
    """Makes windows of a list's videos."""

    def __init__(self, along: Along, choice: FrameChoice, look_up: LookUp) -> None:
        """`choice` holds what is shown of videos whose job does not say it."""
        self._along, self._choice, self._look_up = along, choice, look_up
        self._cues: tuple[str, tuple[Cue, ...]] = ("", ())
        self._subtitled: str | None = None

    def of(self, items: Iterable[Item]) -> Iterator[Item]:
        """The jobs for all windows; questions about the same window follow each other."""
        for job, same in itertools.groupby(items, lambda item: item.scene if isinstance(item, Job) else item):
            while some := list(itertools.islice(same, _TOGETHER)):
                jobs = [item for item in some if isinstance(item, Job)]
                yield from self._divided(jobs) if isinstance(job, tuple) else some

    def _divided(self, jobs: Sequence[Job]) -> Iterator[Job]:
        """The windows of jobs that show the same."""
        try:
            windows = self._windows(jobs[0])
            cues = self._cues_of(jobs[0])
        except (*ENDINGS, NotStarted, CancelledError):
            raise
        except Exception as error:
            yield from (replace(job, error=failure_of(error, job.names)) for job in jobs)
            return
        for window in windows:
            if window is None:
                start, end = self._bounds(jobs[0])
                yield from (replace(job, cues=within(cues, start, end)) if cues else job for job in jobs)
                continue
            parts = [_part(job, window, within(cues, window.start, window.end)) for job in jobs]
            yield from parts
            if self._along.titles:
                yield _title_of(parts[0])

    def _windows(self, job: Job) -> Sequence[Window | None]:
        """None stands for all that is shown."""
        division = job.division or self._along.division
        if not division:
            return [None]
        if len(job.shown) != 1:
            raise InputError(f"shows {len(job.shown)} files; windows are of one video")
        if job.messages and job.shown[0].excerpt != WHOLE:
            raise InputError("messages: a video that becomes windows has no range of its own there")
        # An image has none; nor has what shows nothing, which is told as ever.
        return self._look_up(job.names[0], division, *self._bounds(job)) or [None]

    def _bounds(self, job: Job) -> tuple[float | None, float | None]:
        own = replace(self._choice, **{key: at for key in ("start", "end") if (at := getattr(job, key)) is not None})
        shown = job.shown[0].excerpt.over(own) if len(job.shown) == 1 else own
        return shown.start, shown.end

    def _cues_of(self, job: Job) -> tuple[Cue, ...]:
        """The subtitles of a job's video."""
        path = job.subtitles or self._along.subtitles
        if path is None:
            return ()
        if job.subtitles is None:
            if self._subtitled not in (None, job.names[0]):
                raise InputError(f"{path}: is of one video; in a list, each job names its own as `subtitles`")
            self._subtitled = job.names[0]
        if self._cues[0] != path:
            self._cues = path, read_cues(Path(path))
        return self._cues[1]


def _part(job: Job, window: Window, cues: tuple[Cue, ...]) -> Job:
    """A job about one window."""
    return replace(
        job,
        media=tuple(map(_unbounded, job.media)),
        id=None if job.id is None else f"{job.id}#{window.number}",
        start=window.start,
        end=window.end,
        window=window,
        cues=cues,
    )


def _unbounded(medium: str | MediaPath) -> MediaPath:
    named = media_path(medium)
    return replace(named, excerpt=replace(named.excerpt, start=None, end=None))


def _title_of(job: Job) -> Job:
    return replace(
        job, question=TITLE, id=None if job.id is None else f"{job.id}-title", title=True, messages=(), raw=False,
        media=job.shown,
    )  # fmt: skip
