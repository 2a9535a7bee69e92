# SPDX-License-Identifier: Apache-2.0
"""Who answers: each way has its loader, and a server needs neither torch nor files here."""

from __future__ import annotations

import subprocess
import sys

from llava_cli.engine.loader import Loader
from llava_cli.engine.loaders import open_loader
from llava_cli.engine.remote.endpoint import Endpoint
from llava_cli.engine.remote.engine import RemoteLoader
from llava_cli.engine.types import LoadOptions
from llava_cli.engine.warm.client import WarmLoader
from llava_cli.models.registry import open_family
from llava_cli.models.served import Served


def test_each_way_has_its_loader(checkpoints):
    family, options = open_family(str(checkpoints("llava-interleave"))), LoadOptions("cpu")
    assert isinstance(open_loader(family, options), Loader)
    warm = open_loader(family, options, keep_s=5.0)
    assert isinstance(warm, WarmLoader)
    warm.close()
    assert isinstance(open_loader(Served("x"), LoadOptions(), endpoint=Endpoint("http://h/v1")), RemoteLoader)


def test_where_no_worker_can_be_had_it_is_done_here(checkpoints, monkeypatch, caplog):
    def fails(*_: object) -> None:
        raise OSError("no sockets")

    monkeypatch.setattr("llava_cli.engine.warm.client.connect", fails)
    loader = open_loader(open_family(str(checkpoints("llava-interleave"))), LoadOptions("cpu"), keep_s=5.0)
    assert isinstance(loader, Loader)
    assert caplog.messages == ["no worker can be had (no sockets): answering in this process"]


def test_a_server_is_found_without_torch():
    program = (
        "import sys, llava_cli as llava\n"
        "try: llava.connect('http://127.0.0.1:9/v1', 'next-video-7b', retries=0).ask('Why?')\n"
        "except llava.ModelError as error: print(error)\n"
        "print(sorted({'torch', 'transformers'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    said, heavy = done.stdout.splitlines()
    assert said.startswith("http://127.0.0.1:9/v1: cannot be reached: ")
    assert heavy == "[]"
