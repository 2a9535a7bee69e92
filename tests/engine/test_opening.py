# SPDX-License-Identifier: Apache-2.0
"""Which loader stands for a checkpoint. With a worker that stays: tests/engine/warm."""

from __future__ import annotations

import pytest

from llava_cli.engine.loader import Loader
from llava_cli.engine.opening import open_loader
from llava_cli.engine.placement import Room
from llava_cli.engine.pool.seam import Terms
from llava_cli.engine.types import LoadOptions, ModelInfo
from llava_cli.engine.warm import client
from llava_cli.errors import OutOfMemory
from llava_cli.models.registry import open_family

FAR = ModelInfo("demo", None, "llava-next-video", "bfloat16", None, "cuda:3", "flash_attention_2")


def test_one_in_this_process_is_what_goes_without_saying():
    loader = open_loader(open_family("demo"), LoadOptions(device="cpu"))
    assert isinstance(loader, Loader)
    assert loader.info.device == "cpu"


def test_where_no_worker_can_be_had_it_is_done_here_and_said(monkeypatch, caplog):
    def refuse(*_):
        raise OSError("no socket")

    monkeypatch.setattr(client, "WarmLoader", refuse)
    assert isinstance(open_loader(open_family("demo"), LoadOptions(device="cpu"), keep_s=5.0), Loader)
    assert caplog.messages == ["no worker can be had (no socket): answering in this process"]


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
