# SPDX-License-Identifier: Apache-2.0
import dataclasses
import os
import socket

import pytest

from llava_cli.engine.types import LoadOptions
from llava_cli.engine.warm import address
from llava_cli.engine.warm.address import NoPlace, folder, is_ours, peer, socket_path
from llava_cli.models.checkpoint import open_checkpoint


@pytest.fixture
def environment(tmp_path):
    return {"XDG_RUNTIME_DIR": str(tmp_path)}


def test_the_folder_is_the_user_s_alone(environment, tmp_path):
    made = folder(environment)
    assert made == tmp_path / "llava"
    assert made.stat().st_mode & 0o777 == 0o700
    assert folder(environment) == made
    made.chmod(0o755)
    with pytest.raises(NoPlace, match="0700"):
        folder(environment)


def test_without_a_runtime_folder_there_is_one_for_each_user(monkeypatch, tmp_path):
    monkeypatch.setattr(address.tempfile, "gettempdir", lambda: str(tmp_path))
    assert folder({}) == tmp_path / f"llava-{os.getuid()}"


def test_a_link_or_a_file_in_its_place_is_refused(environment, tmp_path):
    (tmp_path / "elsewhere").mkdir(mode=0o700)
    (tmp_path / "llava").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(NoPlace):
        folder(environment)


def test_all_that_answers_depend_on_makes_another_worker(environment, checkpoints, monkeypatch, tmp_path):
    demo = open_checkpoint("demo")
    known = [
        socket_path(demo, LoadOptions(), environment),
        socket_path(demo, LoadOptions(dtype="bfloat16"), environment),
        socket_path(demo, LoadOptions(quantization="4bit"), environment),
        socket_path(dataclasses.replace(demo, revision="abc"), LoadOptions(), environment),
        socket_path(dataclasses.replace(demo, config=demo.config | {"rope_scaling": 2}), LoadOptions(), environment),
        socket_path(open_checkpoint(str(checkpoints("llava-onevision"))), LoadOptions(), environment),
        socket_path(demo, LoadOptions(), environment | {"CUDA_VISIBLE_DEVICES": "1"}),
        socket_path(demo, LoadOptions(), environment | {"HF_HUB_OFFLINE": "1"}),
    ]
    monkeypatch.setattr(address, "__version__", "99.0")
    known.append(socket_path(demo, LoadOptions(), environment))
    assert len(set(known)) == len(known)
    assert socket_path(demo, LoadOptions(), environment | {"LANG": "C"}) == known[-1]


def test_changed_files_make_another_worker(environment, tmp_path):
    own = tmp_path / "checkpoint"
    own.mkdir()
    for name in ("config.json", "model.safetensors"):
        (own / name).write_text('{"model_type": "llava"}')
    before = socket_path(open_checkpoint(str(own)), LoadOptions(), environment)
    os.utime(own / "model.safetensors", ns=(1, 1))
    assert socket_path(open_checkpoint(str(own)), LoadOptions(), environment) != before


def test_a_path_too_long_for_a_socket_is_told(tmp_path):
    deep = tmp_path / ("d" * 100)
    deep.mkdir()
    with pytest.raises(NoPlace, match="too long"):
        socket_path(open_checkpoint("demo"), LoadOptions(), {"XDG_RUNTIME_DIR": str(deep)})


def test_who_is_at_the_other_end(monkeypatch):
    one, other = socket.socketpair()
    with one, other:
        assert peer(one) == (os.getpid(), os.getuid())
        assert is_ours(one)
        monkeypatch.setattr(address, "peer", lambda _: (1, os.getuid() + 1))
        assert not is_ours(one)
