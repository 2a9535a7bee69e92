# SPDX-License-Identifier: Apache-2.0
"""Who answers: each way has its loader, and a server needs neither torch nor files here."""

from __future__ import annotations

import subprocess
import sys

import pytest

from llava_cli.engine.loader import Loader
from llava_cli.engine.loaders import open_loader
from llava_cli.engine.placement import Room
from llava_cli.engine.pool.seam import Terms
from llava_cli.engine.remote.endpoint import Endpoint
from llava_cli.engine.remote.engine import RemoteLoader
from llava_cli.engine.types import LoadOptions, ModelInfo
from llava_cli.engine.warm.client import WarmLoader
from llava_cli.errors import OutOfMemory
from llava_cli.models.registry import open_family
from llava_cli.models.served import Served

FAR = ModelInfo("demo", None, "llava-next-video", "bfloat16", None, "cuda:3", "flash_attention_2")


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


def test_for_engines_elsewhere_it_plans_with_what_they_have():
    """On a machine that has no such device, nor the attention that was asked for."""
    terms = Terms(FAR, (Room("cuda:3", 5e9, 1e9),))
    options = LoadOptions(attention="flash_attention_2")
    loader = open_loader(open_family("demo"), options, keep_s=5.0, elsewhere=terms)
    assert loader.info == FAR
    plan, here = loader.plan([(100, 10)]), open_loader(open_family("demo"), LoadOptions(device="cpu")).plan([(100, 10)])
    assert (plan.free, plan.fixed) == (5e9, 1e9)
    assert plan.weights == pytest.approx(here.weights / 2)  # in 16 bit
    with pytest.raises(OutOfMemory, match="on cuda:3"):
        open_loader(open_family("demo"), options, elsewhere=Terms(FAR, (Room("cuda:3", 1e6),))).check_memory([])
