# SPDX-License-Identifier: Apache-2.0
"""Weights are those of the files that are given, whatever else lies around; damaged files are errors."""

from __future__ import annotations

import json
import struct

import pytest
import torch
from safetensors.torch import load_file, save_file

from llava_cli.engine.weights import link_weights, open_weights


def test_weights_of_several_files_are_found_whatever_their_names(tmp_path):
    paths = [tmp_path / "first", tmp_path / "second.safetensors"]
    save_file({"a": torch.arange(6.0).view(2, 3)}, paths[0])
    save_file({"b": torch.ones(2, dtype=torch.bfloat16)}, paths[1])
    (tmp_path / "links").mkdir()
    link_weights(paths, tmp_path / "links")
    index = json.loads((tmp_path / "links" / "model.safetensors.index.json").read_text())
    weights = {name: load_file(tmp_path / "links" / file)[name] for name, file in index["weight_map"].items()}
    assert set(weights) == {"a", "b"}
    assert torch.equal(weights["a"], torch.arange(6.0).view(2, 3))
    assert weights["b"].dtype == torch.bfloat16


def test_weights_of_several_files_are_read_when_they_are_needed(tmp_path):
    paths = [tmp_path / "first", tmp_path / "second.safetensors"]
    save_file({"a": torch.arange(6.0).view(2, 3)}, paths[0])
    save_file({"b": torch.ones(2, dtype=torch.bfloat16)}, paths[1])
    with open_weights(paths) as weights:
        assert set(weights) == {"a", "b"}
        assert torch.equal(weights["a"][:], torch.arange(6.0).view(2, 3))
        assert weights["b"].get_dtype() == "BF16"


def header(said: object, data: bytes = b"") -> bytes:
    text = json.dumps(said).encode()
    return struct.pack("<Q", len(text)) + text + data


@pytest.mark.parametrize(
    "content",
    [
        b"", b"\0" * 7, struct.pack("<Q", 2**63) + b"{}", struct.pack("<Q", 10**9) + b"{}", b"\x80\x04pickle" * 10,
        header({"a": {"dtype": "F32", "shape": [2**40], "data_offsets": [0, 2**42]}}),
        header({"a": {"dtype": "F32", "shape": [2**62, 2**62], "data_offsets": [0, 4]}}, b"1234"),
        header({"a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 8]}}, b"12345678"),
        header({"a": {"dtype": "F32", "shape": [1], "data_offsets": [4, 0]}}, b"1234"),
        header({"a": {"dtype": "O", "shape": [1], "data_offsets": [0, 4]}}, b"1234"),
        header([1]), header({"a": 1}), struct.pack("<Q", 100_000) + b"[" * 100_000,
    ],
)  # fmt: skip
def test_headers_that_lie_are_errors(tmp_path, content):
    path = tmp_path / "model.safetensors"
    path.write_bytes(content)
    (tmp_path / "links").mkdir()
    with pytest.raises(Exception, match=r"."):
        link_weights([path], tmp_path / "links")
    with pytest.raises(Exception, match=r"."), open_weights([path]):
        pass
