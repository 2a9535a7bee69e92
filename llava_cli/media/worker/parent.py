# SPDX-License-Identifier: Apache-2.0
"""Decoding in a process of its own: native decoders parse hostile bytes, and may crash or hang without harm to ours.

    with Worker() as worker:
        clip = worker.load("clip.mp4", view)

One worker decodes one file at a time and any number of them one after the other. Where a file ends it, the file is
the error, and the next file gets a new process. Several workers, each in a thread of its own, decode in parallel.
"""

from __future__ import annotations

import io
import json
import math
import os
import selectors
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, cast

from llava_cli.errors import InputError
from llava_cli.media.clip import Media, Sampling, View
from llava_cli.media.errors import MediaError, reason
from llava_cli.media.limits import DEFAULT, Limits, half_of_memory
from llava_cli.media.opening import open_source
from llava_cli.media.sampling import check
from llava_cli.media.source import Name, Source, is_url
from llava_cli.media.windows import Survey
from llava_cli.media.worker.confinement import Confinement
from llava_cli.media.worker.process import FETCHER, Process, decoding_process
from llava_cli.media.worker.wire import READY, TAKEN, Cuts, Request, read_outcome
from llava_cli.words import counted

START_S = 120.0
"""How long a process may take to start, on a machine that is busy with other things."""

LOOK_S = 0.1
"""How often to look at what a process takes."""

TRIES = 3
"""A machine that is short of memory may end a process while it starts."""

_GLANCE = View((8, 8), "squash", Sampling(frames=1, start=0.0))
"""Its first frame tells how long a video is; and what is found out about the file is kept for its windows."""

# Unlike epoll it takes no descriptor of its own, and unlike select any.
_Selector = getattr(selectors, "PollSelector", selectors.SelectSelector)


class Crashed(InputError):
    """The decoder ended its process."""

    code = "decoder_crashed"


class TimedOut(InputError):
    """Decoding took longer than allowed."""

    code = "timeout"


class TooLarge(InputError):
    """Decoding took more memory than allowed."""

    code = "memory"


class NotStarted(InputError):
    """No decoding process could be started, which is not the fault of a file."""

    code = "decoder_start"


class Worker:
    """A decoding process, started with this object and again when a file has ended it.

    Where a URL is read, a second process downloads for it. To be used by one thread; only `kill` is for any.
    """

    def __init__(self, limits: Limits = DEFAULT, threads: int | None = None, scenes: bool = False) -> None:
        """Start it; `scenes` are looked for by a process that takes longer to start."""
        self.limits = limits
        self.threads = threads
        self._scenes = scenes
        self._process: Process | None = None
        self._fetcher: Process | None = None
        self._confinement: Confinement | None = None
        self._killed = False
        with suppress(OSError):  # tried again, and told, where there is something to decode
            self._start()

    def load(self, media: Name | Source, view: View) -> Media:
        """What `load_media` returns, by the limits of this worker.

        Standard input and pipes are copied by this process: their writers may take their time.

        Raises:
            InputError: as `load_media` does; also where the decoder crashes, or takes longer than `limits.timeout` or
                more than `limits.max_memory`.
            UsageError: the sampling makes no sense.
            NotStarted: there is no process to decode it.
            DecoderBug: an error that nobody foresaw.
        """
        check(view.sampling)
        with open_source(media, self.limits) as source:
            return cast("Media", self._decode(source, view))

    def survey(self, media: Name | Source, scenes: bool = False) -> Survey:
        """How long a video is; and where its scenes begin, which takes a decode of all of it.

        Raises:
            InputError, NotStarted, DecoderBug: as `load` does.
        """
        with open_source(media, self.limits) as source:
            first = cast("Media", self._decode(source, _GLANCE))
            if not scenes or first.info.decoder != "pyav":  # an animation, or what only OpenCV reads, is one scene
                return Survey(first.info.duration)
            return Survey(first.info.duration, cast("Cuts", self._decode(source, None)).times)

    def confinement(self) -> Confinement:
        """What the system holds the process to.

        Raises:
            NotStarted: there is none.
        """
        self._started()
        return self._confinement or Confinement()

    def _decode(self, source: Source, view: View | None) -> Media | Cuts:
        process, name = self._started(), source.name
        request = Request(source.path, name, view, self.limits, self.threads).dump()
        memory = self.limits.max_memory or half_of_memory()
        try:
            with self._lent(source, request) as descriptor:
                process.send(request, descriptor)
            outcome = read_outcome(_watched(process, self.limits.timeout, memory))
        except TimeoutError as error:
            self._stop()
            raise TimedOut(
                f"{name}: not decoded within {counted(self.limits.timeout, 'second')}; --timeout allows more"
            ) from error
        except MemoryError as error:
            self._stop()
            raise TooLarge(
                f"{name}: takes more memory to decode than is allowed; --max-memory allows more, --frames asks for less"
            ) from error
        except MediaError as error:
            raise InputError(f"{name}: {error}") from error
        except (EOFError, ConnectionError, ValueError, KeyError, TypeError) as error:
            raise Crashed(f"the decoder crashed on {name} ({self._stop()}): it is damaged, or hostile") from error
        except BaseException:
            self._stop()
            raise
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    @contextmanager
    def _lent(self, source: Source, request: bytes) -> Iterator[int]:
        """What the process is handed with a request: the file, or a socket to the one that downloads it."""
        if not is_url(source.path):
            with source.descriptor() as descriptor:
                yield descriptor
            return
        for_fetcher, for_decoder = socket.socketpair()
        with for_fetcher, for_decoder:
            self._download(request, for_fetcher.fileno())
            yield for_decoder.fileno()

    def _download(self, request: bytes, channel: int) -> None:
        """Have another process download for the one that has the other end of a socket."""
        why = "it ends"
        for _ in range(TRIES):
            try:
                if self._fetcher is None or self._fetcher.returncode is not None:
                    self._end_fetcher()
                    self._fetcher = Process(FETCHER)
                    if self._killed:  # meanwhile
                        self._fetcher.kill()
                self._fetcher.send(request, channel)
                if _watched(self._fetcher, START_S).readline() == TAKEN:
                    return
            except OSError as error:
                why = reason(error)
            self._end_fetcher()
        raise NotStarted(f"the process that reads URLs does not start ({why})")

    def kill(self) -> None:
        """End the process for good, from any thread; what it is decoding is given up as a crash."""
        self._killed = True
        for process in (self._process, self._fetcher):
            if process is not None:
                process.kill()

    def close(self) -> None:
        """End the process, whatever it does."""
        self._stop()

    def __enter__(self) -> Worker:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _started(self) -> Process:
        """A process that has started: an end before that is not the fault of a file."""
        why = "it was told to end"
        for _ in range(0 if self._killed else TRIES):
            try:
                process = self._start()
                if self._confinement is not None:
                    return process
                said = _watched(process, START_S).readline()
                if said.startswith(READY):
                    self._confinement = Confinement(**json.loads(said.removeprefix(READY)))
                    return process
                why = self._stop()
            except OSError as error:  # no process to be had, or a TimeoutError
                why = reason(error)
                self._stop()
        raise NotStarted(
            f"the decoding process does not start ({why}); close other programs, or see what llava doctor finds"
        )

    def _start(self) -> Process:
        """The process; a new one where there is none, or none any more."""
        if self._process is not None and self._process.returncode is not None:
            self._stop()
        if self._process is None:
            self._process = decoding_process(self._scenes)
            if self._killed:  # meanwhile
                self._process.kill()
        return self._process

    def _stop(self) -> str:
        """Kill the processes that live; how the one that decodes ended."""
        self._end_fetcher()
        process, self._process, self._confinement = self._process, None, None
        return "not started" if process is None else process.end()

    def _end_fetcher(self) -> None:
        fetcher, self._fetcher = self._fetcher, None
        if fetcher is not None:
            fetcher.end()


def _watched(process: Process, seconds: float, memory: float = math.inf) -> io.BufferedReader:
    """What a process says, for so many seconds, and as long as it takes no more than so many bytes."""
    return io.BufferedReader(_Watched(process, seconds, memory))


class _Watched(io.RawIOBase):
    """A process's output. Reading raises TimeoutError or MemoryError; the pipe is not closed with this object.

    A limit set on the process itself would not do: FFmpeg takes memory that it cannot have for damage of the file,
    and goes on without the frame.
    """

    def __init__(self, process: Process, seconds: float, memory: float) -> None:
        self._process = process
        self._pipe = process.output
        self._seconds = seconds
        self._end = time.monotonic() + seconds
        self._memory = memory

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        with _Selector() as pipe:
            pipe.register(self._pipe, selectors.EVENT_READ)
            while not pipe.select(max(0.0, min(LOOK_S, self._end - time.monotonic()))):
                if time.monotonic() >= self._end:
                    raise TimeoutError(f"not within {counted(self._seconds, 'second')}")
                if _memory_of(self._process.pid) > self._memory:
                    raise MemoryError
        return os.readv(self._pipe, [buffer])


def _memory_of(process: int) -> int:
    """The bytes that a process holds in memory; 0 where the system does not tell."""
    import psutil

    with suppress(psutil.Error):
        return int(psutil.Process(process).memory_info().rss)
    return 0
