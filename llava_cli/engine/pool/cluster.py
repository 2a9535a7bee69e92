# SPDX-License-Identifier: Apache-2.0
"""`--ray`: engines and decoding on the nodes of a cluster. The only module that knows Ray."""

from __future__ import annotations

import logging
import os
import re
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from llava_cli.engine.device_map import AUTO, CPU, parse_device_map
from llava_cli.engine.pool.actor import ActorSeat
from llava_cli.engine.pool.decoding import ClusterDecoding
from llava_cli.engine.pool.pixels import Pixels
from llava_cli.engine.pool.pool import EnginePool
from llava_cli.engine.pool.runner import Runner
from llava_cli.engine.pool.seam import Died
from llava_cli.engine.types import LoadOptions
from llava_cli.errors import ModelError, UsageError, first_line
from llava_cli.extras import need
from llava_cli.media.limits import Limits
from llava_cli.media.worker.pool import Decoding
from llava_cli.models.checkpoint import Checkpoint
from llava_cli.progress import Progress

log = logging.getLogger(__name__)

_CONNECT_S = 5.0
_LOOK_S = 2.0
"""How often to look for new nodes, and whether what is waited for is still wanted."""


@dataclass(frozen=True)
class Node:
    """A machine of the cluster."""

    id: str
    name: str
    cpus: int
    gpus: float


class RayCluster:
    """A cluster that runs already. Connected to when it is first needed."""

    def __init__(self, address: str, gpus_per_engine: float | None = None) -> None:
        """`address` is `auto` (the cluster that this machine is in) or HOST:PORT.

        Raises:
            UsageError: it is anything else.
        """
        host, _, port = address.rpartition(":")
        if address != AUTO and not (host and "/" not in host and port.isdecimal()):
            raise UsageError(f"--ray {address}: write auto, or HOST:PORT of the cluster's head")
        self._address = address
        self._gpus_per_engine = gpus_per_engine
        self._closed = threading.Event()
        self._pixels = Pixels(self.put)
        self._remote: dict[Any, Any] = {}

    def decoders(self, here: Callable[[], Decoding], limits: Limits) -> Decoding:
        return ClusterDecoding(self, self._pixels, here, limits)

    def engines(self, checkpoint: Checkpoint, options: LoadOptions, progress: Progress) -> EnginePool:
        """An engine for each GPU, or in a cluster without any for each node; also for nodes that join later.

        Raises:
            ModelError: the cluster cannot be reached.
            UsageError: Ray is not installed.
        """
        checkpoint = replace(checkpoint, folder=checkpoint.folder.absolute())
        on_gpus = options.device != CPU and (self._gpus_per_engine or any(node.gpus for node in self.nodes()))
        each = (self._gpus_per_engine or 1.0) if on_gpus else 0.0
        if each > 1 and options.device_map is None:
            options = replace(options, device_map=parse_device_map(AUTO))
        runner = Runner(checkpoint, options, min(1.0, each) if on_gpus else 1.0)
        pool = EnginePool([], progress=progress, more=True)
        seats: dict[str, list[ActorSeat]] = {}

        def look() -> None:
            nodes = {node.id: node for node in self.nodes()}
            for gone in seats.keys() - nodes.keys():
                for seat in seats.pop(gone):
                    pool.remove(seat)
            for new in nodes.keys() - seats.keys():
                node = nodes[new]
                count = int(node.gpus / each + 1e-6) if on_gpus else min(1, node.cpus)
                names = [node.name if count == 1 else f"{node.name}, engine {number + 1}" for number in range(count)]
                seats[new] = [ActorSeat(self, self._pixels, new, name, runner, each) for name in names]
                for seat in seats[new]:
                    pool.add(seat)

        def watch() -> None:
            while not self._closed.wait(_LOOK_S):
                with suppress(Exception):  # of a cluster that is busy, or ending
                    look()

        look()
        if not any(seats.values()):
            log.warning("no node of the cluster has room for an engine: waiting for one that joins")
        threading.Thread(target=watch, daemon=True).start()
        return pool

    def close(self) -> None:
        """Leave the cluster, if it was this that has joined it."""
        self._closed.set()
        if "_ray" in vars(self) and self._joined:
            self._ray.shutdown()

    @cached_property
    def seen(self) -> list[Node]:
        """The nodes that lived when somebody looked last."""
        return self.nodes()

    def has(self, node: str) -> bool:
        """Whether a node lives."""
        return any(one.id == node for one in self.nodes())

    def nodes(self) -> list[Node]:
        """Those that live now."""
        self.seen = [
            Node(node["NodeID"], _name(node), int(node["Resources"].get("CPU", 0)), node["Resources"].get("GPU", 0.0))
            for node in self._ray.nodes()
            if node["Alive"]
        ]
        return self.seen

    def start_actor(self, kind: type, arguments: tuple[Any, ...], node: str, gpus: float) -> Any:
        """An actor on a node, which is never started again by itself."""
        cpus = next((one.cpus for one in self.nodes() if one.id == node), 1)
        spare = max(0, cpus - 1)  # decoding needs one
        return (
            self._made_remote(kind)
            .options(
                num_gpus=gpus,
                num_cpus=min(1, spare) if gpus else spare,
                max_restarts=0,
                max_task_retries=0,
                scheduling_strategy=self._on(node, soft=False),
            )
            .remote(*arguments)
        )

    def kill(self, actor: Any) -> None:
        """End an actor at once."""
        with suppress(Exception):  # it may be gone, and the connection too
            self._ray.kill(actor)

    def get(self, reference: Any, wanted: Callable[[], bool] = lambda: True) -> Any:
        """What a reference stands for; waits for it as long as it is wanted.

        Raises:
            Died: it will never be there, because a process or a node has ended.
        """
        while wanted():
            try:
                return self._ray.get(reference, timeout=_LOOK_S)
            except self._ray.exceptions.GetTimeoutError:
                continue
            except Exception as error:
                raise Died(_why(error)) from error
        raise Died("it was told to end")

    def put(self, thing: Any) -> Any:
        """A reference to a thing of this process."""
        return self._ray.put(thing)

    def run(self, function: Callable[..., Any], arguments: tuple[Any, ...], node: str) -> tuple[Future[Any], Any]:
        """Run a function that returns two things, on a node or, where that is gone, on another.

        Gives a future of the first, and a reference to the second, which stays where it was made.
        """
        task = self._made_remote(function).options(num_returns=2, scheduling_strategy=self._on(node, soft=True))
        first, second = task.remote(*arguments)
        return first.future(), second

    def _made_remote(self, thing: Any) -> Any:
        """A function or class as the library runs it; sent to the cluster once."""
        if thing not in self._remote:
            self._remote[thing] = self._ray.remote(thing)
        return self._remote[thing]

    def _on(self, node: str, soft: bool) -> Any:
        strategies = need("ray.util.scheduling_strategies", "ray")
        return strategies.NodeAffinitySchedulingStrategy(node, soft=soft)

    @cached_property
    def _ray(self) -> Any:
        """The library, connected to the cluster."""
        os.environ |= {"RAY_USAGE_STATS_ENABLED": "0", "RAY_IGNORE_UNHANDLED_ERRORS": "1"}
        ray = need("ray", "ray")
        self._joined = not ray.is_initialized()
        if self._joined:
            try:
                if self._address != AUTO:
                    host, _, port = self._address.rpartition(":")
                    socket.create_connection((host.strip("[]"), int(port)), _CONNECT_S).close()
                with _signals_kept():
                    ray.init(address=self._address, log_to_driver=False, logging_level="ERROR")
            except (OSError, ValueError, RuntimeError, ray.exceptions.RayError) as error:
                raise ModelError(
                    f"--ray {self._address}: no cluster can be reached ({first_line(error)}); `ray start --head` "
                    "starts one on this machine"
                ) from error
        _silence()
        return ray


@contextmanager
def _signals_kept() -> Iterator[None]:
    """Have what signals do stay as it is: Ray would end the program at once."""
    main = threading.current_thread() is threading.main_thread()
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)} if main else {}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _silence() -> None:
    """Keep what Ray's own processes say of dead nodes off the terminal: it is pages, and said here in a line."""
    with suppress(Exception):  # there is no public way
        from ray._private.ray_logging import global_worker_stdstream_dispatcher

        global_worker_stdstream_dispatcher.remove_handler("ray_print_logs")


def _why(error: BaseException) -> str:
    """What ended a process, out of the pages that Ray says of it: what it raised, or else why it is dead."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()] or [type(error).__name__]
    if re.match(r"[\w.]+(Error|Exception|Exit|Interrupt)\b", lines[-1]):
        return lines[-1]
    causes = (line.partition(" because ")[2].partition(". ")[0] for line in lines if line.startswith("The actor "))
    return next(filter(None, causes), lines[0])


def _name(node: dict[str, Any]) -> str:
    """What people call a node: as it was named when it was started, or else by its machine."""
    named = node.get("NodeName")
    return str(named if named and named != node["NodeManagerAddress"] else node["NodeManagerHostname"])
