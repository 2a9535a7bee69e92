# SPDX-License-Identifier: Apache-2.0
"""Which devices `--gpus` names, and a list answered by two engine processes of which one is killed."""

from __future__ import annotations

import os
import signal

import psutil
import pytest
from engine.pool.lists import answered, results
from engine.pool.seats import StubRunner, until

from llava_cli.engine.pool.gpus import Gpus, parse_gpus
from llava_cli.engine.types import LoadOptions
from llava_cli.errors import UsageError
from llava_cli.session import Session


@pytest.mark.parametrize(("text", "names"), [
    ("all", ("all",)), ("0", ("0",)), ("0,1,3", ("0", "1", "3")), ("cuda:1, 02", ("1", "2")),
    ("cpu,cpu", ("cpu", "cpu")),
])  # fmt: skip
def test_devices_are_named_in_a_list(text, names):
    assert parse_gpus(text) == Gpus(names)


@pytest.mark.parametrize("text", ["", "gpu", "0,", "all,0", "-1", "0;1", "cpu,mps", "1000", "٣"])
def test_what_names_no_devices_is_a_usage_error(text):
    with pytest.raises(UsageError, match="write all, the numbers of GPUs"):
        parse_gpus(text)


@pytest.mark.parametrize(("names", "found", "told"), [
    (("all",), [], "this machine has no GPU; --gpus cpu,cpu runs two engines on its CPU"),
    (("0", "7"), ["cuda:0"], "cuda:7 is not available on this machine, which has cpu, cuda:0"),
])  # fmt: skip
def test_devices_that_are_not_there_are_told_before_anything_starts(monkeypatch, names, found, told):
    monkeypatch.setattr("llava_cli.engine.device.gpus", lambda: found)
    with Session("demo", spread=Gpus(names)) as session, pytest.raises(UsageError, match=told):
        _ = session.engines


@pytest.mark.parametrize(("names", "found", "runners"), [
    (("all",), ["cuda:0", "cuda:1"], [("cuda:0", 1.0), ("cuda:1", 1.0)]),
    (("1", "1", "0"), ["cuda:0", "cuda:1"], [("cuda:1", 0.5), ("cuda:1", 0.5), ("cuda:0", 1.0)]),
])  # fmt: skip
def test_each_engine_has_its_device_and_its_share_of_it(monkeypatch, names, found, runners):
    made = []
    monkeypatch.setattr("llava_cli.engine.device.gpus", lambda: found)
    monkeypatch.setattr("llava_cli.engine.pool.gpus.ProcessSeat", lambda name, runner, environment: made.append(runner))
    monkeypatch.setattr("llava_cli.engine.pool.gpus.EnginePool", lambda seats, *_: None)
    with Session("demo") as session:
        Gpus(names).engines(session.family.checkpoint, LoadOptions(dtype="float16"), None)
    assert [(runner.options.device, runner.share) for runner in made] == runners
    assert {runner.options.dtype for runner in made} == {"float16"}


def engine_processes() -> list[psutil.Process]:
    """Those that live."""
    living = [one for one in psutil.Process().children() if one.status() != psutil.STATUS_ZOMBIE]
    return [one for one in living if "pool.child" in " ".join(one.cmdline())]


def test_two_engines_go_on_with_the_list_of_one_though_one_is_killed(clips, plain, begun, tmp_path):
    ledger = tmp_path / "ledger"
    begun(ledger, 5)
    with Session("demo", spread=Gpus(("cpu", "cpu"))) as session:
        tally = answered(session, clips, ledger, 6, lambda: os.kill(engine_processes()[0].pid, signal.SIGKILL))
        until(lambda: len(engine_processes()) == 2)  # a fresh one is in its place
    assert results(ledger) == plain
    assert (tally.skipped, tally.done) == (5, len(clips) - 5)
    assert engine_processes() == []
    with Session("demo") as session:
        assert answered(session, clips, ledger).skipped == len(clips)


def test_a_file_that_ends_engines_is_an_error_and_costs_no_other(clips, tmp_path, monkeypatch):
    monkeypatch.setattr("llava_cli.engine.pool.gpus.Runner", lambda *_: StubRunner())
    poison = tmp_path / "poison.mp4"
    poison.write_bytes(clips[-1].read_bytes() + b"\0")
    ledger = tmp_path / "ledger"
    with Session("demo", spread=Gpus(("cpu", "cpu"))) as session:
        tally = answered(session, [*clips[:6], poison, *clips[6:12]], ledger)
    (failed,) = [record for record in results(ledger).values() if record["status"] == "error"]
    assert (failed["media"][0]["path"], failed["error"]["code"]) == (str(poison), "engine_died")
    assert (tally.done, tally.failed) == (12, 1)
