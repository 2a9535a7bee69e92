# SPDX-License-Identifier: Apache-2.0
"""A checkpoint's files are plain ones of its own folder, of a sane size; its weights are safetensors beside them."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from llava_cli.errors import ModelError
from llava_cli.models import files


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    own = tmp_path / "checkpoint"
    own.mkdir()
    return own


def index(folder: Path, *names: object) -> None:
    places = {f"weight{number}": name for number, name in enumerate(names)}
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": places}))


def test_what_is_not_there_is_nothing(folder):
    assert (files.find(folder, "a"), files.read(folder, "a"), files.read_text(folder, "a")) == (None, None, None)
    assert files.read_json(folder, "a") == {}


def test_files_of_the_folder_are_read_through_links_too(folder):
    (folder / "real.json").write_text('{"a": 1}')
    (folder / "link.json").symlink_to("real.json")
    assert files.read_json(folder, "link.json") == {"a": 1}


def test_the_hub_s_cache_links_to_a_folder_beside_its_commits(tmp_path):
    snapshot, blobs = tmp_path / "models--a--b" / "snapshots" / "abc", tmp_path / "models--a--b" / "blobs"
    snapshot.mkdir(parents=True)
    blobs.mkdir()
    (blobs / "1f").write_text('{"a": 1}')
    (snapshot / "config.json").symlink_to("../../blobs/1f")
    (snapshot / "model.safetensors").symlink_to("../../blobs/1f")
    (tmp_path / "linked").symlink_to(snapshot)
    for folder in (snapshot, tmp_path / "linked"):
        assert files.read_json(folder, "config.json") == {"a": 1}
        assert files.weights(folder) == [blobs / "1f"]


@pytest.mark.parametrize("target", ["../outside", "/dev/zero", "/dev/stdin", "/etc/passwd", "circle"])
def test_a_link_that_leads_out_is_refused(folder, target):
    (folder.parent / "outside").write_text('{"a": 1}')
    (folder / "circle").symlink_to("circle2")
    (folder / "circle2").symlink_to("circle")
    (folder / "model.safetensors").symlink_to(target)
    for read in (files.find, files.read, files.read_json, files.read_text):
        with pytest.raises(
            ModelError, match=r"model\.safetensors: (is a link that leads out|cannot be read|is no plain)"
        ):
            read(folder, "model.safetensors")
    with pytest.raises(ModelError):
        files.weights(folder)


def test_a_pipe_and_a_folder_are_no_files(folder):
    os.mkfifo(folder / "pipe")
    (folder / "dir").mkdir()
    for name in ("pipe", "dir"):
        with pytest.raises(ModelError, match=f"{name}: is no plain file"):
            files.read(folder, name)


def test_what_is_too_large_is_not_read(folder):
    with (folder / "config.json").open("wb") as file:
        file.truncate(100 << 20)
    with pytest.raises(ModelError, match=r"config\.json: has more than 8 MiB"):
        files.read_json(folder, "config.json")


@pytest.mark.parametrize(
    "content",
    [b"[" * 100_000, b'{"a":' * 100_000, b"{", b"\xff", b"", b"[1]", b'{"a": NaN}', b'{"a": -Infinity}',
     b'{"a": ' + b"9" * 5000 + b"}"],
)  # fmt: skip
def test_json_that_is_none_is_one_line(folder, content):
    (folder / "config.json").write_bytes(content)
    with pytest.raises(ModelError, match=r"config\.json: (cannot be read as JSON|is not a JSON object)[^\n]*$"):
        files.read_json(folder, "config.json")


def test_a_text_that_is_none_is_one_line(folder):
    (folder / "chat_template.jinja").write_bytes(b"\xff")
    with pytest.raises(ModelError, match="is no UTF-8 text"):
        files.read_text(folder, "chat_template.jinja")


def test_the_weights_are_the_one_file_or_those_of_the_index(folder):
    for name in ("a.safetensors", "b-00001-of-00002.safetensors", "other.safetensors"):
        (folder / name).touch()
    index(folder, "b-00001-of-00002.safetensors", "a.safetensors", "a.safetensors")
    assert [path.name for path in files.weights(folder)] == ["a.safetensors", "b-00001-of-00002.safetensors"]
    (folder / "model.safetensors").touch()
    assert [path.name for path in files.weights(folder)] == ["model.safetensors"]


@pytest.mark.parametrize(
    "name",
    ["weights.bin", "../outside.safetensors", "/etc/x.safetensors", "sub/x.safetensors", "..safetensors",
     "x.safetensors/../../y.safetensors", ".safetensors", "x.safetensors\n", "a\0b.safetensors", 7, None, ["a"]],
)  # fmt: skip
def test_an_index_names_safetensors_of_the_folder_alone(folder, name):
    (folder / "good.safetensors").touch()
    index(folder, "good.safetensors", name)
    with pytest.raises(ModelError, match=r"index\.json: names .*only \*\.safetensors files of the same folder"):
        files.weights(folder)


def test_an_index_that_is_none_is_told(folder):
    (folder / "model.safetensors.index.json").write_text('{"weight_map": ["a.safetensors"]}')
    with pytest.raises(ModelError, match="its weight_map is not an object"):
        files.weights(folder)


def test_missing_shards_are_told(folder):
    (folder / "a.safetensors").touch()
    index(folder, "a.safetensors", "b.safetensors")
    with pytest.raises(ModelError, match=r"1 of 2 files of weights are missing, e\.g\. b\.safetensors"):
        files.weights(folder)


def test_a_shard_that_is_a_link_out_of_the_folder_is_refused(folder):
    (folder.parent / "outside.safetensors").touch()
    (folder / "a.safetensors").symlink_to("../outside.safetensors")
    index(folder, "a.safetensors")
    with pytest.raises(ModelError, match="leads out of the checkpoint's folder"):
        files.weights(folder)


@pytest.mark.parametrize("pickle", ["pytorch_model.bin", "model.bin"])
def test_pickles_are_named_as_what_they_are(folder, pickle):
    with pytest.raises(ModelError, match=r"has no safetensors weights$"):
        files.weights(folder)
    (folder / pickle).touch()
    with pytest.raises(ModelError, match="never loaded: convert them"):
        files.weights(folder)
