# SPDX-License-Identifier: Apache-2.0
"""The process that `parent` starts to render templates: requests on standard input, answers on standard output.

It imports Jinja and little else. Once it is ready it can open nothing any more: no file, no connection, no process.
"""

from __future__ import annotations

import json
import resource
import sys
import traceback
from contextlib import suppress
from functools import lru_cache
from types import TracebackType
from typing import Any

from jinja2 import TemplateSyntaxError

from llava_cli.errors import first_line
from llava_cli.models.rendering.environment import compiled

_READY = b"ready\n"
MEMORY = 1 << 30
"""Bytes of memory that the process may have."""
MOST_TEXT = 1 << 24
"""Characters of a prompt; the longest context has room for less."""
_MOST_WORDS = 300
# How Jinja names a template in tracebacks, before and after it could be compiled.
_TEMPLATE_FILES = ("<unknown>", "<template>")

_compiled = lru_cache(maxsize=16)(compiled)


def main() -> None:
    """Serve requests until standard input ends."""
    with suppress(Exception):  # what Jinja imports only when it is needed
        compiled("{{ 1 | pprint }}{{ strftime_now('%d %B %Y') }}{{ raise_exception('') }}").render()
    _limit(resource.RLIMIT_CORE, 0)
    _limit(resource.RLIMIT_AS, MEMORY)
    _limit(resource.RLIMIT_NOFILE, 3)
    sys.stdout.buffer.write(_READY)
    sys.stdout.buffer.flush()
    for line in sys.stdin.buffer:
        sys.stdout.buffer.write(json.dumps(_answer(json.loads(line))).encode() + b"\n")
        sys.stdout.buffer.flush()


def _limit(kind: int, most: int) -> None:
    with suppress(OSError, ValueError):  # not every system has every limit
        resource.setrlimit(kind, (most, most))


def _bound_time(seconds: float) -> None:
    """Let the system end this process where the parent, which keeps the time, is no longer there to do it."""
    used = sum(resource.getrusage(resource.RUSAGE_SELF)[:2])
    with suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_CPU, (int(used + seconds) + 2, resource.getrlimit(resource.RLIMIT_CPU)[1]))


def _answer(request: dict[str, Any]) -> dict[str, Any]:
    """What a template makes of variables, or, without any, whether it can be compiled."""
    _bound_time(request["seconds"])
    try:
        template = _compiled(request["template"])
        text = "" if request["variables"] is None else template.render(request["variables"])
    except (MemoryError, RecursionError) as error:
        return {"error": f"takes too much memory: {type(error).__name__}", "line": None, "costly": True}
    except TemplateSyntaxError as error:
        return {"error": _shortened(error.message or "syntax error"), "line": error.lineno}
    except Exception as error:  # templates can fail in any way that code can
        return {"error": _shortened(first_line(error)), "line": _line(error.__traceback__)}
    if len(text) > MOST_TEXT:
        return {"error": f"writes more than {MOST_TEXT} characters", "line": None, "costly": True}
    return {"text": text}


def _line(trace: TracebackType | None) -> int | None:
    lines = [line for frame, line in traceback.walk_tb(trace) if frame.f_code.co_filename in _TEMPLATE_FILES]
    return lines[-1] if lines else None


def _shortened(message: str) -> str:
    return message[:_MOST_WORDS]
