# SPDX-License-Identifier: Apache-2.0
"""Checkpoints: found, read, and refused where they are not safe; the network only when it is needed and allowed."""

from __future__ import annotations

import json
import socket
from dataclasses import replace
from pathlib import Path

import pytest

from llava_cli.engine.loader import load
from llava_cli.engine.types import LoadOptions
from llava_cli.errors import ModelError
from llava_cli.models.checkpoint import dummy_checkpoint, found_here, open_checkpoint
from llava_cli.models.registry import family_of


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "llava_next_video"}))
    return tmp_path


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> list:
    tried: list = []

    def connect(self: socket.socket, address: object) -> None:
        tried.append(address)
        raise OSError("the network is off")

    monkeypatch.setattr(socket.socket, "connect", connect)
    monkeypatch.setattr(socket, "getaddrinfo", lambda *a, **k: (_ for _ in ()).throw(socket.gaierror("no names")))
    return tried


def test_a_local_folder(folder):
    checkpoint = open_checkpoint(str(folder))
    assert checkpoint.config == {"model_type": "llava_next_video"}
    assert checkpoint.revision is None


@pytest.mark.parametrize("name", ["nothing-here", "../nothing", "a/b/c", "http://example.org/x", "", "-x", "/etc/none"])
def test_a_name_that_is_no_checkpoint(name, no_network):
    with pytest.raises(ModelError, match="no such folder"):
        open_checkpoint(name)
    assert not no_network


def test_a_folder_without_a_config(tmp_path):
    with pytest.raises(ModelError, match=r"no config\.json"):
        open_checkpoint(str(tmp_path))


@pytest.mark.parametrize("content", [b"{", b"[]", b"\xff\xfe", b"null", b"[" * 100_000])
def test_a_damaged_config(tmp_path, content):
    (tmp_path / "config.json").write_bytes(content)
    with pytest.raises(ModelError, match=r"config\.json"):
        open_checkpoint(str(tmp_path))


@pytest.mark.parametrize("model_type", ["llava_next", "qwen2_vl", None])
def test_only_known_families_are_loaded(tmp_path, model_type):
    (tmp_path / "config.json").write_text(json.dumps({"model_type": model_type, "auto_map": {"AutoModel": "x.py"}}))
    with pytest.raises(ModelError, match=r"supported families: .*llava-next-video"):
        family_of(open_checkpoint(str(tmp_path)))


def test_pickled_weights_are_refused(folder):
    (folder / "pytorch_model.bin").write_bytes(b"\x80\x02")
    with pytest.raises(ModelError, match="never loaded"):
        open_checkpoint(str(folder)).weights()


def test_damaged_weights_are_told(tmp_path):
    import tiny

    tiny.make("llava-next-video", tmp_path)
    weights = tmp_path / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:5000])
    with pytest.raises(ModelError, match="cannot be loaded"):
        load(family_of(open_checkpoint(str(tmp_path))), LoadOptions(device="cpu"))


def test_missing_weights_are_told(tmp_path):
    """Weights that no file holds would be random: such a model must not answer."""
    import tiny
    from safetensors.torch import load_file, save_file

    tiny.make("llava-next-video", tmp_path)
    weights = load_file(tmp_path / "model.safetensors")
    lost = next(name for name in weights if "mlp.up_proj" in name)
    del weights[lost]
    save_file(weights, tmp_path / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ModelError, match="1 weights are missing"):
        load(family_of(open_checkpoint(str(tmp_path))), LoadOptions(device="cpu"))


def test_the_processor_s_template_comes_before_the_tokenizer_s(folder):
    (folder / "tokenizer_config.json").write_text(json.dumps({"chat_template": "tokenizer"}))
    assert open_checkpoint(str(folder)).chat_template == "tokenizer"
    (folder / "processor_config.json").write_text(json.dumps({"chat_template": "processor"}))
    assert open_checkpoint(str(folder)).chat_template == "processor"
    (folder / "chat_template.jinja").write_text("jinja")
    assert open_checkpoint(str(folder)).chat_template == "jinja"
    (folder / "chat_template.json").write_text(json.dumps({"chat_template": "json"}))
    assert open_checkpoint(str(folder)).chat_template == "json"


def test_offline_no_socket_is_opened(no_network, monkeypatch, tmp_path):
    import huggingface_hub.constants

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(ModelError, match="HF_HUB_OFFLINE is set, so that nothing is downloaded; unset it") as raised:
        open_checkpoint("llava-hf/LLaVA-NeXT-Video-7B-hf")
    assert raised.value.code == "offline"
    assert not no_network


def test_a_checkpoint_in_the_hub_s_cache_is_used_offline(no_network, monkeypatch, tmp_path):
    import huggingface_hub.constants

    commit = "0123456789abcdef0123456789abcdef01234567"
    repository = tmp_path / "models--someone--tiny"
    snapshot = repository / "snapshots" / commit
    snapshot.mkdir(parents=True)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text(commit)
    (snapshot / "config.json").write_text(json.dumps({"model_type": "llava_next_video"}))
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    checkpoint = open_checkpoint("someone/tiny")
    assert checkpoint.revision == commit
    assert checkpoint.folder == snapshot
    assert not no_network


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("Next-Video-7B", "did you mean next-video-7b?"),
        ("next-vide-7b", "did you mean next-video-7b or "),
        ("DEMO", "did you mean demo?"),
        ("no such thing", "`llava models` lists short names, and the built-in checkpoint is 'demo'"),
    ],
)
@pytest.mark.parametrize("opened", [open_checkpoint, dummy_checkpoint])
def test_a_name_that_is_nearly_one_gets_a_suggestion(opened, name, meant):
    with pytest.raises(ModelError) as raised:
        opened(name)
    assert meant in str(raised.value)


def test_a_checkpoint_that_was_opened_elsewhere_is_found_here(folder, tmp_path, monkeypatch):
    """The demo wherever it is installed, one from the hub in this machine's cache, in the revision that was found."""
    here = open_checkpoint(str(folder))
    assert found_here(here) == here
    gone = tmp_path / "gone"
    demo = open_checkpoint("demo")
    assert found_here(replace(demo, folder=gone)) == demo
    dummy = dummy_checkpoint("next-video-7b")
    assert found_here(dummy) == dummy
    with pytest.raises(ModelError, match=f"{socket.gethostname()} has no such folder") as error:
        found_here(replace(here, folder=gone))
    assert str(gone) in str(error.value)
    asked = []
    monkeypatch.setattr("llava_cli.models.checkpoint._from_hub", lambda *names: asked.append(names[:2]) or folder)
    hub = replace(here, name="someone/tiny", folder=gone, hub_id="someone/tiny", revision="0123", rope_factor=2.0)
    assert found_here(hub) == replace(hub, folder=folder)
    assert asked == [("someone/tiny", "0123")]
