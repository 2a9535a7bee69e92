# SPDX-License-Identifier: Apache-2.0
"""The process that reads URLs for one that decodes: it has the network, and looks at nothing that it downloads."""

from __future__ import annotations

import json
import os
import socket
import traceback
from contextlib import closing, suppress
from typing import Any

from llava_cli.atomic import write_all
from llava_cli.media.errors import MediaError
from llava_cli.media.web.borrowed import ASKED
from llava_cli.media.web.ranges import Parts
from llava_cli.media.worker.confinement import confine_downloads
from llava_cli.media.worker.serving import keep_to_itself, take_requests
from llava_cli.media.worker.wire import TAKEN, Request


def main() -> None:
    """Serve requests until standard input ends. The socket that comes with each leads to the process that decodes."""
    answers, given = os.dup(1), socket.socket(fileno=os.dup(0))
    keep_to_itself()
    confine_downloads()
    requests = take_requests(given)
    while True:
        line, descriptor = requests.get()
        write_all(answers, TAKEN)
        request = Request.parse(line)
        with socket.socket(fileno=descriptor) as channel, closing(Parts(request.path, request.limits)) as parts:
            lend(parts, channel)


def lend(parts: Parts, channel: socket.socket) -> None:
    """Download what is asked for over `channel`, until its other end is closed."""
    with suppress(OSError):
        while asked := channel.recv(ASKED.size, socket.MSG_WAITALL):
            answer: dict[str, Any] = {}
            try:
                offset, count = ASKED.unpack(asked)
                parts.connect()
                parts.fetch(offset, count)
                answer["size"] = parts.size
            except MediaError as error:
                answer["error"] = str(error)
            except Exception:
                answer["bug"] = traceback.format_exc()
            if "size" in answer and not count:
                socket.send_fds(channel, [b" "], [parts.descriptor])
            channel.sendall(json.dumps(answer).encode() + b"\n")
