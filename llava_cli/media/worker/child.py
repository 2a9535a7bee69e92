# SPDX-License-Identifier: Apache-2.0
"""The decoding process that `worker` starts: requests on standard input, outcomes on what was standard output.

It imports media and nothing above it: no torch, no model, nothing that hostile bytes could spoil.
"""

from __future__ import annotations

import math
import os
import resource
import select
import sys
import threading
import traceback
from contextlib import suppress
from pathlib import Path

from llava_cli.atomic import write_all
from llava_cli.errors import LlavaError
from llava_cli.media.clip import Clip, Still
from llava_cli.media.load import load_media, load_source
from llava_cli.media.source import Source, is_url
from llava_cli.media.worker.wire import READY, Request, dump_error, dump_media


def main() -> None:
    """Serve requests until standard input ends."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a core would hold what was decoded
    with suppress(OSError):  # where memory runs out all the same, this process is the one to go, not the model's
        Path("/proc/self/oom_score_adj").write_text("1000")
    answers = os.dup(1)
    os.dup2(2, 1)  # whatever libraries print must not get between the answers
    write_all(answers, READY)
    for line in sys.stdin.buffer:
        _serve(Request.parse(line), answers)


def _end_with_parent() -> None:
    """End at once where the parent is gone, even inside of a decoder that hangs."""
    pipe = select.poll()
    pipe.register(0, 0)  # nothing but the news that the other end is closed
    pipe.poll()
    os._exit(0)


def _serve(request: Request, answers: int) -> None:
    _bound_time(request)
    try:
        parts: tuple[bytes | memoryview, ...] = dump_media(_load(request))
    except LlavaError as error:
        parts = (dump_error(error, str(error)),)
    except Exception as error:
        parts = (dump_error(error, traceback.format_exc()),)
    for part in parts:
        write_all(answers, part)


def _load(request: Request) -> Clip | Still:
    if is_url(request.path):
        return load_media(request.path, request.view, limits=request.limits, threads=request.threads)
    return load_source(Source(request.path, request.name, request.limits), request.view, request.threads)


def _bound_time(request: Request) -> None:
    """Let the system end this process where the parent, which keeps the time, is no longer there to do it."""
    used = sum(resource.getrusage(resource.RUSAGE_SELF)[:2])
    most = used + (request.limits.timeout + 10) * (os.cpu_count() or 1)
    hard = resource.getrlimit(resource.RLIMIT_CPU)[1]
    if math.isfinite(most) and (hard == resource.RLIM_INFINITY or most < hard):
        resource.setrlimit(resource.RLIMIT_CPU, (int(most) + 1, hard))
