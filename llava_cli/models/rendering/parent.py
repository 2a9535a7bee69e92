# SPDX-License-Identifier: Apache-2.0
"""Rendering chat templates in a process of their own, which can do nothing else, for so long, in so much memory.

    text = render(template, {"messages": […], "add_generation_prompt": True})

The process is started for the first template, and serves all that follow; one that ends it is not tried again.
"""

from __future__ import annotations

import atexit
import json
import os
import select
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, cast

SECONDS = 10.0
"""How long a template may take; usual ones take less than a thousandth of one."""
START_S = 120.0
"""How long the process may take to start, on a machine that is busy with other things."""
MOST_TEMPLATE = 1 << 20
"""Characters of a template. The longest known has 20 thousand."""

READY = b"ready\n"
"""What the process says first."""
_LONGEST = 1 << 27
"""Bytes of an answer: each character of a prompt may take six."""
_PROGRAM = "import sys; sys.path[:] = sys.argv[1:]; from llava_cli.models.rendering.child import main; main()"
# No secrets; but where libraries are, and what time it is.
_ENVIRONMENT = ("LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "TZ")


class TemplateFailed(Exception):
    """A template does not do what it should."""

    def __init__(self, message: str, line: int | None = None) -> None:
        super().__init__(message)
        self.line = line
        """Where in the template, if that is known."""


class TooCostly(TemplateFailed):
    """It takes too much time or memory: it is damaged, or hostile."""


class NotStarted(Exception):
    """There is no process to render it, which is not the template's fault."""


def start() -> None:
    """Have the process start while other things are done; where it cannot, that is told when it is needed."""
    with suppress(OSError):
        _renderer.start()


def render(template: str, variables: Mapping[str, Any]) -> str:
    """What a template makes of variables, which are made of what JSON knows.

    Raises:
        TemplateFailed: it fails; TooCostly: in a way that no innocent one does.
        NotStarted: there is no process.
    """
    return _renderer.ask(template, variables)


def check(template: str) -> None:
    """Make sure that a template can be compiled. Raises as `render` does."""
    _renderer.ask(template, None)


class Renderer:
    """A process that renders, for any number of threads, one request after the other."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._ready = False
        self._lock = threading.Lock()
        self._refused: dict[tuple[str, bool], str] = {}
        """What is not tried again, and why; a template that can be compiled may still be endless."""

    def ask(self, template: str, variables: Mapping[str, Any] | None) -> str:
        """See `render` and `check`."""
        if len(template) > MOST_TEMPLATE:
            raise TooCostly(f"has more than {MOST_TEMPLATE} characters")
        with self._lock:
            work = template, variables is None
            if work in self._refused:
                raise TooCostly(self._refused[work])
            try:
                return self._asked({"template": template, "variables": variables, "seconds": SECONDS})
            except TooCostly as error:
                self._refused[work] = str(error)
                raise

    def close(self) -> None:
        """End the process."""
        process, self._process, self._ready = self._process, None, False
        if process is None:
            return
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                with suppress(OSError):
                    pipe.close()

    def _asked(self, request: Mapping[str, Any]) -> str:
        process = self._started()
        try:
            stdin = cast(Any, process.stdin)
            stdin.write(json.dumps(request).encode() + b"\n")
            stdin.flush()
            answer = json.loads(_line(process, SECONDS))
        except TimeoutError as error:
            self.close()
            raise TooCostly(f"takes more than {SECONDS:g} seconds") from error
        except (EOFError, BrokenPipeError, ValueError) as error:
            self.close()
            raise TooCostly("crashes, or takes too much memory") from error
        except BaseException:
            self.close()
            raise
        if "error" in answer:
            raise (TooCostly if answer.get("costly") else TemplateFailed)(answer["error"], answer["line"])
        return str(answer["text"])

    def start(self) -> None:
        """Start the process, where there is none, and wait for nothing. Raises OSError."""
        with self._lock:
            self._start()

    def _start(self) -> None:
        if self._process is not None and self._process.poll() is None:
            return
        self.close()
        environment = {name: os.environ[name] for name in _ENVIRONMENT if name in os.environ}
        self._process = subprocess.Popen(  # noqa: S603 - this program, our own
            [sys.executable, "-I", "-c", _PROGRAM, *sys.path],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=environment,
            start_new_session=True,  # signals to the whole group are ours to answer
        )

    def _started(self) -> subprocess.Popen[bytes]:
        try:
            self._start()
            process = cast("subprocess.Popen[bytes]", self._process)
            if not self._ready and _line(process, START_S) != READY:
                raise EOFError("it says something else")
        except (OSError, EOFError) as error:  # no process to be had, or a TimeoutError
            self.close()
            raise NotStarted(f"the process that renders chat templates does not start: {error}") from error
        except BaseException:
            self.close()
            raise
        self._ready = True
        return process


def _line(process: subprocess.Popen[bytes], seconds: float) -> bytes:
    """The next line that a process writes.

    Raises:
        TimeoutError: it takes longer.
        EOFError: there is none, or it is too long.
    """
    pipe = cast(Any, process.stdout).fileno()
    end = time.monotonic() + seconds
    ready = select.poll()
    ready.register(pipe, select.POLLIN)
    line = bytearray()
    while not line.endswith(b"\n"):
        if not ready.poll(max(0.0, end - time.monotonic()) * 1000):
            raise TimeoutError("it took too long")
        piece = os.read(pipe, 1 << 20)
        if not piece or len(line) > _LONGEST:
            raise EOFError("it ended")
        line += piece
    return bytes(line)


_renderer = Renderer()
atexit.register(_renderer.close)
