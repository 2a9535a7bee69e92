# SPDX-License-Identifier: Apache-2.0
"""Lists answered on the nodes of a cluster, of which some join and some die."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from engine.pool.lists import answered, drawn, results
from engine.pool.seats import StubRunner, until

from llava_cli.engine.pool.cluster import RayCluster, _why
from llava_cli.errors import ModelError, UsageError
from llava_cli.session import Session

TESTS = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def cluster():
    """Two nodes on this machine, and a head that does nothing itself."""
    from ray.cluster_utils import Cluster

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        patch.setenv("RAY_memory_monitor_refresh_ms", "0")  # whatever else this machine does
        patch.setenv("PYTHONPATH", f"{TESTS.parent}{os.pathsep}{TESTS}")
        options = {"num_cpus": 1, "object_store_memory": 100 << 20}
        cluster = Cluster(
            initialize_head=True,
            head_node_args={**options, "num_cpus": 0, "node_name": "head", "include_dashboard": False},
        )
        cluster.options = options
        for name in ("one", "two"):
            cluster.add_node(node_name=name, **options)
        yield cluster
        cluster.shutdown()


def on(cluster) -> RayCluster:
    return RayCluster(cluster.address)


def test_a_list_goes_on_there_though_a_node_dies_and_ends_here(cluster, clips, plain, begun, tmp_path, caplog):
    ledger = tmp_path / "ledger"
    begun(ledger, 4)
    doomed = cluster.add_node(node_name="doomed", **cluster.options)
    with Session("demo", spread=on(cluster)) as session:
        assert [node.name for node in session._spread.nodes()].count("doomed") == 1
        tally = answered(
            session,
            clips[:20],
            ledger,
            4,
            lambda: cluster.remove_node(doomed, allow_graceful=False),
            report=tmp_path / "r",
        )
    assert (tally.skipped, tally.done, tally.failed) == (4, 16, 0)
    with Session("demo") as session:
        tally = answered(session, clips, ledger)
    assert (tally.skipped, tally.done) == (20, len(clips) - 20)
    assert results(ledger) == plain
    page = (tmp_path / "r").read_text()
    assert page.count("<section>") == 20
    assert page.count("data:image") == 20


def test_a_file_that_ends_engines_is_an_error_and_costs_no_other(cluster, clips, tmp_path, monkeypatch):
    monkeypatch.setattr("llava_cli.engine.pool.cluster.Runner", lambda *_: StubRunner())
    poison = tmp_path / "poison.mp4"
    poison.write_bytes(clips[-1].read_bytes() + b"\0")
    ledger = tmp_path / "ledger"
    with Session("demo", spread=on(cluster)) as session:
        tally = answered(session, [*clips[:6], poison, *clips[6:12], Path("missing.mp4")], ledger)
    failed = {r["media"][0]["path"]: r["error"] for r in results(ledger).values() if r["status"] == "error"}
    assert failed.keys() == {str(poison), "missing.mp4"}
    assert failed[str(poison)]["code"] == "engine_died"
    assert failed["missing.mp4"] == {"code": "input", "message": "missing.mp4: no such file"}
    assert (tally.done, tally.failed) == (12, 2)


def test_a_node_that_joins_is_used(cluster, monkeypatch):
    monkeypatch.setattr("llava_cli.engine.pool.cluster.Runner", lambda *_: StubRunner())
    monkeypatch.setattr("llava_cli.engine.pool.cluster._LOOK_S", 0.1)
    with Session("demo", spread=on(cluster)) as session:
        before = session.engines.size
        until(lambda: session.engines.idle() == before)
        node = cluster.add_node(node_name="late", **cluster.options)
        until(lambda: session.engines.idle() == before + 1)
        cluster.remove_node(node)
        until(lambda: session.engines.size == before)


def test_where_no_node_has_a_gpu_that_was_asked_for_it_says_that_it_waits(cluster, caplog):
    with Session("demo", spread=RayCluster(cluster.address, gpus_per_engine=0.5)) as session:
        assert session.engines.idle() == 0
    assert "no node of the cluster has room for an engine: waiting for one that joins" in caplog.messages


def test_the_program_s_own_signals_stay_as_they_are(cluster):
    def handler(*_):
        raise AssertionError

    before = signal.signal(signal.SIGTERM, handler)
    try:
        with Session("demo", spread=on(cluster)) as session:
            assert session._spread.nodes()
            assert signal.getsignal(signal.SIGTERM) is handler
        assert signal.getsignal(signal.SIGTERM) is handler
    finally:
        signal.signal(signal.SIGTERM, before)


@pytest.mark.parametrize("address", ["", "ray://head:10001", "head", "head:port", ":6379"])
def test_what_is_no_address_is_a_usage_error(address):
    with pytest.raises(UsageError, match="write auto, or HOST:PORT"):
        RayCluster(address)


def test_a_cluster_that_is_not_there_is_one_line():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
        with Session("demo", spread=RayCluster(address)) as session, pytest.raises(ModelError) as error:
            _ = session.engines
    assert str(error.value).startswith(f"--ray {address}: no cluster can be reached (")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(("said", "told"), [
    ("The actor died unexpectedly before finishing this task.\n\tpid: 7\n"
     "The actor is dead because its worker process has died. Worker exit type: SYSTEM_ERROR",
     "its worker process has died"),
    ("The actor died because of an error raised in its creation task, ray::A.__init__()\n  File x\n"
     "ModuleNotFoundError: No module named 'llava_cli'", "ModuleNotFoundError: No module named 'llava_cli'"),
    ("The actor 7 is unavailable: Socket closed.", "The actor 7 is unavailable: Socket closed."),
    ("", "Exception"),
])  # fmt: skip
def test_of_what_ray_says_of_a_death_only_the_cause_is_told(said, told):
    assert _why(Exception(said)) == told


def test_without_the_library_it_says_how_to_install_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with Session("demo", spread=RayCluster("auto")) as session, pytest.raises(UsageError, match=r"llava-cli\[ray\]"):
        _ = session.engines


CLIPS = int(os.environ.get("LLAVA_CLUSTER_CLIPS", "50"))
"""Of the long list; 200 take some minutes."""

DRIVER = """
import sys
from pathlib import Path
from engine.pool.lists import answered
from engine.pool.seats import Poisoned
from llava_cli.engine.pool import cluster
from llava_cli.session import Session
cluster.Runner = Poisoned
address, folder, ledger = sys.argv[1:]
with Session("demo", spread=cluster.RayCluster(address)) as session:
    answered(session, sorted(Path(folder).iterdir()), Path(ledger))
"""


@pytest.mark.slow
def test_a_list_with_a_node_a_driver_and_engines_that_die(cluster, tmp_path):
    """Begun by a driver that is killed, and gone on with by another, which loses a node; one file ends engines."""
    folder, ledger, expected = tmp_path / "clips", tmp_path / "ledger", tmp_path / "plain"
    folder.mkdir()
    paths = drawn(folder, CLIPS)
    poison = folder / "poison.mp4"
    poison.write_bytes(paths[0].read_bytes() + b"\0")
    doomed = cluster.add_node(node_name="doomed", **cluster.options)

    def driver() -> subprocess.Popen:
        return subprocess.Popen([sys.executable, "-c", DRIVER, cluster.address, folder, ledger])

    def lines() -> int:
        return ledger.read_bytes().count(b"\n") if ledger.exists() else 0

    killed = driver()
    until(lambda: lines() >= CLIPS // 5, 120)
    killed.kill()
    killed.wait()
    assert lines() <= CLIPS
    second = driver()
    until(lambda: lines() >= CLIPS // 2, 120)
    cluster.remove_node(doomed, allow_graceful=False)
    assert second.wait(300) == 0
    with Session("demo") as session:
        answered(session, paths, expected)
    records = results(ledger)
    (failed,) = [record for record in records.values() if record["status"] == "error"]
    assert (failed["media"][0]["path"], failed["error"]["code"]) == (str(poison), "engine_died")
    assert {id: record for id, record in records.items() if record != failed} == results(expected)
