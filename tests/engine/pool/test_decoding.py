# SPDX-License-Identifier: Apache-2.0
"""Decoding on nodes that only pretend: who is asked, and what is said of those that cannot see a file."""

from __future__ import annotations

import logging
from concurrent.futures import Future

import pytest
from pictures import clip

from llava_cli.engine.pool.cluster import Node
from llava_cli.engine.pool.decoding import ClusterDecoding
from llava_cli.engine.pool.pixels import Pixels
from llava_cli.engine.pool.remote import Seen, Unseen
from llava_cli.errors import InputError
from llava_cli.media.clip import Sampling, View, outline
from llava_cli.media.limits import Limits
from llava_cli.media.source import Source
from llava_cli.media.worker.pool import Decoded

VIEW = View((4, 4), "squash", Sampling("uniform", 2))
SHOWN = clip(2, 4, 4)


class Cluster:
    """Nodes with so many cores, of which some see no files, some have a bad day, and some have gone."""

    def __init__(self, blind=(), broken=(), gone=(), **cores: int) -> None:
        self.seen = [Node(name, name, cpus, 0.0) for name, cpus in cores.items()]
        self.blind, self.broken, self.gone = blind, broken, gone
        self.asked: list[tuple[str, Future]] = []
        self.hold = False

    def has(self, node: str) -> bool:
        return node not in self.gone

    def run(self, function, arguments, node):
        (wanted, _, _), future = arguments, Future()
        self.asked.append((node, future))
        if not self.hold:
            self.finish(node, future, wanted)
        return future, f"pixels on {node}"

    def finish(self, node: str, future: Future, wanted) -> None:
        name = wanted[0][0]
        if node in self.broken:
            future.set_exception(RuntimeError("the node has died"))
        elif node in self.blind and "://" not in name:
            future.set_result(Unseen(name))
        elif "bad" in name:
            future.set_result(InputError(f"{name}: is bad"))
        else:
            future.set_result(Seen([outline(SHOWN)], [SHOWN.frames.shape], 0.5))

    def get(self, reference):
        assert reference.startswith("pixels on ")
        return [SHOWN]

    def close(self) -> None:
        self.asked.append(("closed", Future()))


class Here:
    """This machine."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def submit(self, media):
        (name, _), future = media[0], Future()
        self.asked.append(str(name))
        if "bad" in str(name):
            future.set_exception(InputError(f"{name}: is bad here"))
        else:
            future.set_result(Decoded([SHOWN], 0.25))
        return future

    def close(self) -> None:
        self.asked.append("closed")


@pytest.fixture
def path(tmp_path) -> str:
    (tmp_path / "a.mp4").write_bytes(b"a")
    return str(tmp_path / "a.mp4")


def decoding(cluster: Cluster) -> tuple[ClusterDecoding, Here]:
    here = Here()
    return ClusterDecoding(cluster, Pixels(lambda media: "put"), lambda: here, Limits()), here


def test_pixels_stay_where_they_are_until_they_are_looked_at(path):
    cluster = Cluster(one=1)
    decoder, here = decoding(cluster)
    decoded = decoder.submit([(path, VIEW)]).result(0)
    assert decoded.seconds == 0.5
    (medium,) = decoded.media
    assert (medium.info, medium.frames.shape) == (SHOWN.info, SHOWN.frames.shape)
    assert not medium.frames.any()
    assert decoder.whole([medium]) == [SHOWN]
    assert decoder.whole([SHOWN]) == [SHOWN]
    assert here.asked == []


def test_nodes_get_as_much_as_they_have_cores(path):
    cluster = Cluster(one=1, three=3, none=0)
    cluster.hold = True
    decoder, _ = decoding(cluster)
    for _ in range(8):
        decoder.submit([(path, VIEW)])
    asked = [node for node, _ in cluster.asked]
    assert {node: asked.count(node) for node in ("one", "three", "none")} == {"one": 2, "three": 6, "none": 0}
    node, future = cluster.asked[0]
    cluster.finish(node, future, [(path, VIEW)])
    decoder.submit([(path, VIEW)])
    assert cluster.asked[-1][0] == node


def test_a_node_that_cannot_see_files_is_told_of_once_and_asked_for_urls_only(path, caplog):
    cluster = Cluster(blind={"one"}, one=8, two=1)
    decoder, here = decoding(cluster)
    with caplog.at_level(logging.WARNING):
        for _ in range(5):
            assert decoder.submit([(path, VIEW)]).result(0).seconds == 0.5
    assert caplog.messages == [f"node one cannot see {path}: from now on files are decoded on other nodes"]
    assert [node for node, _ in cluster.asked].count("one") == 1
    decoder.submit([("https://example.org/a.mp4", VIEW)]).result(0)
    assert cluster.asked[-1][0] == "one"
    assert here.asked == []


def test_where_no_node_sees_files_this_machine_decodes_them(path, caplog):
    decoder, here = decoding(Cluster(blind={"one", "two"}, one=1, two=1))
    with caplog.at_level(logging.WARNING):
        assert [decoder.submit([(path, VIEW)]).result(0).seconds for _ in range(3)] == [0.25] * 3
    assert [message.rpartition("decoded ")[2] for message in caplog.messages] == ["on other nodes", "on this machine"]
    assert here.asked == [path] * 3


def test_a_file_that_nobody_sees_is_no_node_s_fault(caplog):
    cluster = Cluster(blind={"one"}, one=1)
    decoder, here = decoding(cluster)
    with pytest.raises(InputError, match=r"missing-bad\.mp4: is bad here"):
        decoder.submit([("missing-bad.mp4", VIEW)]).result(0)
    assert here.asked == ["missing-bad.mp4"]
    assert caplog.messages == []


@pytest.mark.parametrize("why", ["broken", "gone", "no nodes"])
def test_what_a_node_cannot_do_any_more_is_done_here(path, caplog, why):
    cluster = Cluster(broken={"one"}, **({} if why == "no nodes" else {"one": 1}))
    decoder, here = decoding(cluster)
    assert decoder.submit([(path, VIEW)]).result(0).seconds == 0.25
    assert here.asked == [path]
    assert caplog.messages == []


def test_a_bad_file_is_an_error_wherever_it_was_read(path):
    decoder, here = decoding(Cluster(one=1))
    bad = path.replace("a.mp4", "bad.mp4")
    with pytest.raises(InputError, match="is bad"):
        decoder.submit([(bad, VIEW)]).result(0)
    assert here.asked == []


def test_what_is_open_here_is_read_here(path):
    decoder, here = decoding(Cluster(one=1))
    assert decoder.submit([(Source(path, "a"), VIEW)]).result(0).seconds == 0.25
    assert len(here.asked) == 1


def test_closing_closes_both():
    cluster = Cluster(blind={"one"}, one=1)
    decoder, here = decoding(cluster)
    decoder.close()
    assert (here.asked, cluster.asked[-1][0]) == ([], "closed")
    decoder.submit([("missing.mp4", VIEW)])
    decoder.close()
    assert here.asked == ["missing.mp4", "closed"]
