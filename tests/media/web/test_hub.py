# SPDX-License-Identifier: Apache-2.0
"""Files of data sets on the hub, asked for over HTTP by the hub's own library."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from media.hub_server import Hub, serving_hub, used_here

from llava_cli.errors import ExitCode, InputError
from llava_cli.media import Sampling, View
from llava_cli.media.limits import Limits
from llava_cli.media.opening import open_source
from llava_cli.media.web.hub import parse, version
from llava_cli.media.worker.parent import Worker

VIEW = View((48, 48), "crop", Sampling(frames=4))
LISTED = Limits(urls="public")


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache"


@pytest.fixture
def hub(cache: Path) -> Iterator[Hub]:
    with serving_hub() as hub, used_here(hub, cache) as patch:
        hub.patch = patch
        yield hub


def read(name: str, limits: Limits = LISTED) -> bytes:
    with open_source(name, limits) as source:
        assert source.name == name
        return Path(source.path).read_bytes()


def fails(name: str, message: str, code: str = "input", limits: Limits = LISTED) -> None:
    with pytest.raises(InputError, match=message) as raised, open_source(name, limits):
        raise AssertionError("opened")
    assert (raised.value.exit_code, raised.value.code) == (ExitCode.INPUT, code)
    assert str(raised.value).startswith(f"{name}: ")
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("hf://datasets/a/b/x.mp4", ("a/b", None, "x.mp4")),
        ("HF://datasets/a.b/c-d_e/in a/folder/x@1.mp4", ("a.b/c-d_e", None, "in a/folder/x@1.mp4")),
        ("hf://datasets/a/b@v1.0/x.mp4", ("a/b", "v1.0", "x.mp4")),
        ("hf://datasets/a/b@refs/pr/3/x/y.mp4", ("a/b", "refs/pr/3", "x/y.mp4")),
        ("hf://datasets/a/b@feature%2Fnew/x.mp4", ("a/b", "feature/new", "x.mp4")),
    ],
)
def test_names_are_the_hub_s_own(name: str, parts: tuple[str, str | None, str]) -> None:
    file = parse(name)
    assert (file.repository, file.revision, file.path) == parts


@pytest.mark.parametrize(
    "name",
    [
        "hf://", "hf://a/b/x.mp4", "hf://spaces/a/b/x.mp4", "hf://datasets/a/x.mp4", "hf://datasets/a/b", "hf://datasets/a/b/",
        "hf://datasets/a/b//x.mp4", "hf://datasets/a/b/../x.mp4", "hf://datasets/a/b/./x.mp4", "hf://datasets/a/b@/x.mp4",
    ],
)  # fmt: skip
def test_what_is_no_file_of_a_data_set(name: str) -> None:
    fails(name, "is no file of a data set on the hub; write hf://datasets/OWNER/NAME/FILE")


def test_a_clip_on_the_hub_is_decoded_and_downloaded_once(hub: Hub, rendered: Callable[[str], Path]) -> None:
    name = hub.add("in a/folder/h264.mp4", rendered("h264"))
    with Worker(LISTED) as worker:
        clips = [worker.load(name, VIEW) for _ in range(2)]
        local = worker.load(rendered("h264"), VIEW)
    assert [clip.info.path for clip in clips] == [name, name]
    assert (clips[0].frames == local.frames).all()
    assert hub.downloads == ["h264.mp4"]


def test_the_download_is_said_with_its_size(hub: Hub, caplog: pytest.LogCaptureFixture) -> None:
    name = hub.add("x.mp4", b"x" * 2_500_000)
    with caplog.at_level(logging.INFO, "llava_cli"):
        read(name)
        read(name)
    said = [record.getMessage() for record in caplog.records if record.name.startswith("llava_cli")]
    assert said == [f"{name}: downloading 2.5 MB"]


def test_revisions(hub: Hub) -> None:
    name = hub.add("x.mp4", b"main")
    hub.add("x.mp4", b"one", "v1")
    hub.add("x.mp4", b"two", "refs/pr/1")
    assert read(name) == b"main"
    assert read(name.replace("/x.mp4", "@v1/x.mp4")) == b"one"
    assert read(name.replace("/x.mp4", f"@{hub.commit('v1')}/x.mp4")) == b"one"
    assert read(name.replace("/x.mp4", "@refs/pr/1/x.mp4")) == b"two"
    assert read(name.replace("/x.mp4", "@refs%2Fpr%2F1/x.mp4")) == b"two"


def test_what_was_replaced_on_the_hub_is_read_anew(hub: Hub) -> None:
    name = hub.add("x.mp4", b"before")
    pinned = name.replace("/x.mp4", f"@{hub.commit('main')}/x.mp4")
    assert read(name) == b"before"
    known = version(name)
    hub.add("other.mp4", b"of no matter")
    assert version(name) == known
    assert read(name) == b"before"
    hub.add("x.mp4", b"after")
    assert version(name) != known
    assert read(name) == b"after"
    hub.requests.clear()
    assert read(pinned) == b"before"
    assert not hub.requests


def test_what_the_hub_does_not_give(hub: Hub) -> None:
    name = hub.add("x.mp4", b"x")
    fails(name.replace("x.mp4", "y.mp4"), "the hub has no such file there", "not_found")
    fails(name.replace("/x.mp4", "@v2/x.mp4"), "has no revision 'v2'", "not_found")
    fails("hf://datasets/no/such/x.mp4", "not on the hub, or private", "not_found")
    fails("hf://datasets/a--b/c/x.mp4", "the hub does not give it: ")
    hub.gated.add("someone/clips")
    fails(name, "access is restricted; accept its terms on the hub, then run `hf auth login`", "gated")
    assert not hub.downloads


def test_what_is_too_large_is_not_downloaded(hub: Hub) -> None:
    name = hub.add("x.mp4", b"x" * 100)
    message = "is 100 bytes long, and 99 may be downloaded; --max-bytes allows more"
    fails(name, message, limits=Limits(max_bytes=99, urls="public"))
    assert not hub.downloads
    assert read(name, Limits(max_bytes=100, urls="public"))
    # Nothing is downloaded of what is here.
    assert read(name, Limits(max_bytes=1, urls="public"))


def test_what_has_no_known_size_is_not_downloaded(hub: Hub) -> None:
    name = hub.add("x.mp4", b"x" * 100)
    hub.says_size = False
    fails(name, "is of unknown size, and 2147483648 may be downloaded; --max-bytes allows more")
    assert not hub.downloads


def test_a_list_has_the_hub_asked_only_where_it_is_allowed(hub: Hub) -> None:
    fails(hub.add("x.mp4", b"x"), "is a URL; --allow-urls has lists read them", limits=Limits())
    assert not hub.requests


def test_offline_the_cache_is_used_and_nothing_is_asked(hub: Hub) -> None:
    name, other = hub.add("x.mp4", b"x"), hub.add("y.mp4", b"y")
    read(name)
    hub.requests.clear()
    hub.patch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    assert read(name) == b"x"
    fails(other, "not in the local cache, and HF_HUB_OFFLINE is set, so that nothing is downloaded", "offline")
    assert not hub.requests


def test_contents_are_known_by_what_the_hub_knows_them_by(hub: Hub, cache: Path) -> None:
    """The same before and after the download, offline, and for a copy; another one for other contents."""
    name, copy, other = hub.add("x.mp4", b"x"), hub.add("copy.mp4", b"x"), hub.add("y.mp4", b"y")
    known = version(name)
    assert not hub.downloads
    read(name)
    assert version(name) == version(copy) == known
    assert version(other) != known
    hub.patch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    assert version(name) == known
    shutil.rmtree(cache)
    with pytest.raises(InputError, match="HF_HUB_OFFLINE"):
        version(name)
