# SPDX-License-Identifier: Apache-2.0
"""Decoding in a process of its own: native decoders parse hostile bytes, and may crash or hang without harm to ours.

    with Worker() as worker:
        clip = worker.load("clip.mp4", view)

One worker decodes one file at a time and any number of them one after the other. Where a file ends it, the file is
the error, and the next file gets a new process. Several workers, each in a thread of its own, decode in parallel.
"""

from __future__ import annotations

import io
import os
import select
import signal
import subprocess
import sys
import time
from contextlib import suppress
from typing import IO, Any, cast

from llava_cli.errors import InputError
from llava_cli.media.clip import Clip, Still, View
from llava_cli.media.limits import DEFAULT, Limits
from llava_cli.media.sampling import check
from llava_cli.media.source import is_url, open_source
from llava_cli.media.wire import Request, read_outcome

# The parent's own search path, and not the current folder, which -m or -c would put before it.
PROGRAM = "import sys; sys.path[:] = sys.argv[1:]; from llava_cli.media.child import main; main()"


class Crashed(InputError):
    """The decoder ended its process."""

    code = "decoder_crashed"


class TimedOut(InputError):
    """Decoding took longer than allowed."""

    code = "timeout"


class Worker:
    """A decoding process, started with this object and again when a file has ended it. Not for several threads."""

    def __init__(self, limits: Limits = DEFAULT, threads: int | None = None) -> None:
        self.limits = limits
        self.threads = threads
        self._process: subprocess.Popen[bytes] | None = None
        self._start()

    def load(self, path: str | os.PathLike[str] | bytes, view: View) -> Clip | Still:
        """Return what `load_media` returns, and raise what it raises.

        Also raises InputError where the decoder crashes, or takes longer than `limits.timeout`. Standard input and
        pipes are copied by this process: their writers may take their time.
        """
        check(view.sampling)
        if is_url(path):  # downloaded there, by the rules of `remote`
            return self._decode(os.fsdecode(path), os.fsdecode(path), view)
        with open_source(path, self.limits) as source:
            return self._decode(source.path, source.name, view)

    def _decode(self, path: str, name: str, view: View) -> Clip | Still:
        process = self._start()
        requests, answers = cast(IO[bytes], process.stdin), cast(IO[bytes], process.stdout)
        timed = io.BufferedReader(_Timed(answers.fileno(), self.limits.timeout))
        try:
            requests.write(Request(path, name, view, self.limits, self.threads).dump())
            requests.flush()
            outcome = read_outcome(timed)
        except TimeoutError as error:
            self._stop()
            raise TimedOut(
                f"{name}: not decoded within {self.limits.timeout:g} seconds; --timeout allows more"
            ) from error
        except (EOFError, BrokenPipeError, ValueError, KeyError, TypeError) as error:
            raise Crashed(f"the decoder crashed on {name} ({self._stop()}): it is damaged, or hostile") from error
        except BaseException:
            self._stop()
            raise
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    def close(self) -> None:
        """End the process, whatever it does."""
        self._stop()

    def __enter__(self) -> Worker:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _start(self) -> subprocess.Popen[bytes]:
        """Return the process; a new one where there is none, or none any more."""
        if self._process is not None and self._process.poll() is not None:
            self._stop()
        if self._process is None:
            # Its arithmetic is FFmpeg's; numpy's threads would cost memory and time to start.
            environment = os.environ | {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
            self._process = subprocess.Popen(  # noqa: S603 - this program, our own
                [sys.executable, "-c", PROGRAM, *sys.path],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                env=environment,
            )
        return self._process

    def _stop(self) -> str:
        """Kill the process if it lives; return how it ended."""
        process, self._process = self._process, None
        if process is None:
            return "not started"
        process.kill()
        code = process.wait()
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                with suppress(OSError):
                    pipe.close()
        return signal.Signals(-code).name if code < 0 else f"exit code {code}"


class _Timed(io.RawIOBase):
    """A pipe that is read until a moment, and no longer. It is not closed with this object."""

    def __init__(self, pipe: int, seconds: float) -> None:
        self._pipe = pipe
        self._end = time.monotonic() + seconds

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        ready = select.poll()
        ready.register(self._pipe, select.POLLIN)
        if not ready.poll(max(0.0, self._end - time.monotonic()) * 1000):
            raise TimeoutError
        return os.readv(self._pipe, [buffer])
