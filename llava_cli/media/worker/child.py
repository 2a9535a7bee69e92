# SPDX-License-Identifier: Apache-2.0
"""The decoding process that `parent` starts: requests on standard input, outcomes on what was standard output.

It imports media and nothing above it: no torch, no model, nothing that hostile bytes could spoil.
"""

from __future__ import annotations

import math
import os
import resource
import threading
import traceback
from contextlib import suppress
from pathlib import Path
from queue import SimpleQueue

from llava_cli.atomic import write_all
from llava_cli.errors import LlavaError
from llava_cli.media.clip import Media
from llava_cli.media.load import load_media
from llava_cli.media.source import Source, is_url
from llava_cli.media.worker.wire import READY, Request, dump_error, dump_media


def main() -> None:
    """Serve requests until standard input ends."""
    with suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a core would hold what was decoded
    with suppress(OSError):  # where memory runs out all the same, this process is the one to go, not the model's
        Path("/proc/self/oom_score_adj").write_text("1000")
    answers = os.dup(1)
    os.dup2(2, 1)  # whatever libraries print must not get between the answers
    requests: SimpleQueue[bytes] = SimpleQueue()
    threading.Thread(target=_read, args=(requests,), daemon=True).start()
    write_all(answers, READY)
    while True:
        for part in _outcome(requests.get()):
            write_all(answers, part)


def _read(requests: SimpleQueue[bytes]) -> None:
    """Take requests, and end at once where the parent is gone, even inside of a decoder that hangs."""
    with open(0, "rb", closefd=False) as given:
        for line in given:
            requests.put(line)
    os._exit(0)


def _outcome(line: bytes) -> tuple[bytes | memoryview, ...]:
    try:
        request = Request.parse(line)
        _bound_time(request)
        return dump_media(_load(request))
    except LlavaError as error:
        return (dump_error(error, str(error)),)
    except Exception as error:
        return (dump_error(error, traceback.format_exc()),)


def _load(request: Request) -> Media:
    source = Source(request.path, request.name, request.limits)
    media = request.path if is_url(request.path) else source
    return load_media(media, request.view, limits=request.limits, threads=request.threads)


def _bound_time(request: Request) -> None:
    """Let the system end this process where the parent, which keeps the time, is no longer there to do it."""
    used = sum(resource.getrusage(resource.RUSAGE_SELF)[:2])
    most = used + (request.limits.timeout + 10) * (os.cpu_count() or 1)
    hard = resource.getrlimit(resource.RLIMIT_CPU)[1]
    if math.isfinite(most) and (hard == resource.RLIM_INFINITY or most < hard):
        with suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_CPU, (int(most) + 1, hard))
