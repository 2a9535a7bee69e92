# SPDX-License-Identifier: Apache-2.0
"""The decoding process that `parent` starts: requests on standard input, outcomes on what was standard output.

It imports media and nothing above it: no torch, no model, nothing that hostile bytes could spoil. Before it takes the
first request it confines itself: it is handed each file open, and a file on the web by what `fetcher` gets of it.
"""

from __future__ import annotations

import importlib.util
import json
import math
import os
import pkgutil
import resource
import socket
import sys
import traceback
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import asdict
from pathlib import Path

from llava_cli.atomic import write_all
from llava_cli.errors import LlavaError
from llava_cli.media.clip import Sampling, View
from llava_cli.media.last import LastVideo
from llava_cli.media.load import explained, load_media, reported
from llava_cli.media.source import HeldSource, Source, is_url
from llava_cli.media.web.borrowed import Borrowed, RemoteSource
from llava_cli.media.worker.confinement import Confinement, confine
from llava_cli.media.worker.serving import keep_to_itself, take_requests
from llava_cli.media.worker.wire import READY, Request, dump_cuts, dump_error, dump_media

LATE = ("PIL.ImageCms", "PIL.ImageColor", "PIL.ImageOps", "PIL.ImagePalette", "encodings.ascii", "encodings.latin_1")
"""What is else imported when a file is the first to need it."""

PICTURE = b"P6 8 8 255\n" + bytes(8 * 8 * 3)
VIDEO = b"YUV4MPEG2 W8 H8 F1:1\n" + b"FRAME\n" + bytes(8 * 8 * 3 // 2)
READERS = {
    "llava_cli.media.picture.read_picture": PICTURE,
    "llava_cli.media.sampler.read_clip": VIDEO,
    "llava_cli.media.opencv.read_clip": VIDEO,
}
"""Each decoder, and the simplest file that it reads."""


def main(*also: str) -> None:
    """Serve requests until standard input ends; `also` are modules that these need besides."""
    with suppress(OSError):  # where memory runs out all the same, this process is the one to go, not the model's
        Path("/proc/self/oom_score_adj").write_text("1000")
    answers, given = os.dup(1), socket.socket(fileno=os.dup(0))
    if sys.platform == "linux":
        warm_up(*also)
    keep_to_itself()
    confinement: Confinement = confine()
    requests = take_requests(given)
    write_all(answers, READY + json.dumps(asdict(confinement)).encode() + b"\n")
    last = LastVideo()
    while True:
        for part in _outcome(*requests.get(), last):
            write_all(answers, part)


def warm_up(*also: str) -> None:
    """Import all that decoding takes, and have libraries open what they open the first time they are used.

    What is missing or broken is told where a file needs it.
    """
    for module in (*LATE, *_parts_of_pyav(), *also):
        with suppress(ImportError):
            importlib.import_module(module)
    for reader, sample in READERS.items():
        with suppress(Exception):
            module, _, function = reader.rpartition(".")
            read = getattr(importlib.import_module(module), function)
            file = os.memfd_create("sample")
            write_all(file, sample)
            read(HeldSource("", "", held=file), View((8, 8), "crop", Sampling(frames=1)))
            os.close(file)


def _parts_of_pyav() -> list[str]:
    """Its modules, which import one another when a file is the first to need it."""
    found = importlib.util.find_spec("av")
    paths = found.submodule_search_locations if found else None
    names = {module.name for module in pkgutil.walk_packages(paths, "av.")} if paths else set()
    return sorted(names - {"av.__main__", "av.datasets"})


def _outcome(line: bytes, descriptor: int, last: LastVideo) -> tuple[bytes | memoryview, ...]:
    try:
        request = Request.parse(line)
        _bound_time(request)
        with _opened(request, descriptor) as source:
            if request.view is None:
                return (dump_cuts(_cuts(source, request.threads)),)
            if not request.view.sampling.is_part:
                last.close()
            return dump_media(load_media(source, request.view, threads=request.threads, last=last))
    except LlavaError as error:
        last.close()
        return (dump_error(error, str(error)),)
    except Exception as error:
        last.close()
        return (dump_error(error, traceback.format_exc()),)


def _cuts(source: Source, threads: int | None) -> tuple[float, ...]:
    from llava_cli.media.scenes import cuts

    with reported(source), explained():
        return cuts(source, threads)


@contextmanager
def _opened(request: Request, descriptor: int) -> Iterator[Source]:
    with ExitStack() as opened:
        if is_url(request.path):
            parts = opened.enter_context(closing(Borrowed(socket.socket(fileno=descriptor))))
            yield RemoteSource(request.path, request.name, request.limits, parts=parts)
        else:
            opened.callback(os.close, descriptor)
            yield HeldSource(request.path, request.name, request.limits, held=descriptor)


def _bound_time(request: Request) -> None:
    """Let the system end this process where the parent, which keeps the time, is no longer there to do it."""
    used = sum(resource.getrusage(resource.RUSAGE_SELF)[:2])
    most = used + (request.limits.timeout + 10) * (os.cpu_count() or 1)
    hard = resource.getrlimit(resource.RLIMIT_CPU)[1]
    if math.isfinite(most) and (hard == resource.RLIM_INFINITY or most < hard):
        with suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_CPU, (int(most) + 1, hard))
