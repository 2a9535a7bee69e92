# SPDX-License-Identifier: Apache-2.0
"""What the driver of a long list takes: memory and time for each so many records, with engines that only pretend.

    python tests/batch/measure_driver.py              # 1,000,000 jobs, two engine processes, files that are only names
    python tests/batch/measure_driver.py 100000 --ray # on a local cluster of two nodes, which decode real clips

The list, the scheduler, the wire, the ledger with its lock and its fsyncs are the true ones.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import psutil
from batch.stub import StubSession, clip
from engine.pool.lists import drawn
from engine.pool.seats import StubRunner

from llava_cli.batch.jobs import Job
from llava_cli.batch.run import open_batch
from llava_cli.batch.writers import Outputs
from llava_cli.engine.pool.pool import EnginePool
from llava_cli.engine.pool.process import ProcessSeat
from llava_cli.media.clip import Media
from llava_cli.media.worker.pool import Decoded, Wanted
from llava_cli.request import Request
from llava_cli.session import Session

POINTS = 20
QUESTIONS = 64
"""About each file."""


class Names:
    """Decodes at once what is only a name."""

    def submit(self, media: Sequence[Wanted]) -> Future[Decoded]:
        future: Future[Decoded] = Future()
        future.set_result(Decoded([clip(str(name), view) for name, view in media], 0.0))
        return future

    def whole(self, media: Sequence[Media]) -> Sequence[Media]:
        return media

    def close(self) -> None:
        pass


@contextmanager
def two_processes(folder: Path) -> Iterator[tuple[Session, list[str]]]:
    session = StubSession()
    session.free, session.pool = 1e9, Names()
    session.engines = EnginePool([ProcessSeat(name, StubRunner()) for name in ("one", "two")])
    yield session, []
    session.engines.close()


@contextmanager
def two_nodes(folder: Path) -> Iterator[tuple[Session, list[str]]]:
    from ray.cluster_utils import Cluster

    from llava_cli.engine.pool import cluster as module

    tests = Path(__file__).parents[1]
    os.environ |= {"RAY_USAGE_STATS_ENABLED": "0", "PYTHONPATH": f"{tests.parent}{os.pathsep}{tests}"}
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
    for _ in range(2):
        cluster.add_node(num_cpus=1, object_store_memory=200 << 20)
    module.Runner = lambda *_: StubRunner()
    with Session("demo", spread=module.RayCluster(cluster.address)) as session:
        yield session, list(map(str, drawn(folder, 16)))
    cluster.shutdown()


def jobs(count: int, files: list[str]) -> Iterator[Job]:
    """Each of them new work; questions about one file follow each other."""
    for number in range(count):
        scene = number // QUESTIONS
        name = files[scene % len(files)] if files else f"{number}.mp4"
        yield Job((name,), f"What happens in {number}?", f"id-{number}")


def main() -> None:
    count = int(next((word for word in sys.argv[1:] if word.isdecimal()), 1_000_000))
    process, started = psutil.Process(), time.perf_counter()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with (two_nodes if "--ray" in sys.argv else two_processes)(folder) as (session, files):
            with open_batch(session, lambda: jobs(count, files), Request(), Outputs(folder / "ledger")) as batch:
                for number, _ in enumerate(batch.results(), 1):
                    if number % max(1, count // POINTS) == 0 or number == 1000:
                        rss, seconds = process.memory_info().rss >> 20, time.perf_counter() - started
                        print(f"{number:9,} records  {rss:5} MiB  {number / seconds:8.0f} a second", flush=True)
            print(batch.tally.summary())
        with (folder / "ledger").open() as ledger:
            ids = {json.loads(line)["id"] for line in ledger}
        size = (folder / "ledger").stat().st_size
        print(f"{len(ids):,} different jobs in the ledger, {size / count:.0f} bytes each")


if __name__ == "__main__":
    main()
