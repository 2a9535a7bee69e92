# SPDX-License-Identifier: Apache-2.0
"""What the hub's cache holds: checkpoints with weights, by hub id, each file counted once."""

from __future__ import annotations

from pathlib import Path

import pytest

from llava_cli.models.cache import cache_folder, cached_sizes


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    return tmp_path / "hub"


def put(cache: Path, repository: str, **snapshots: str) -> None:
    """A repository with one file of 100 bytes, which each of the snapshots calls as is said."""
    blob = cache / repository / "blobs" / "abc"
    blob.parent.mkdir(parents=True)
    blob.write_bytes(bytes(100))
    for commit, filename in snapshots.items():
        (cache / repository / "snapshots" / commit).mkdir(parents=True)
        (cache / repository / "snapshots" / commit / filename).symlink_to(blob)


def test_no_cache_is_empty(cache):
    assert cache_folder() == cache
    assert cached_sizes() == {}


def test_checkpoints_with_weights_are_counted_once(cache):
    put(cache, "models--some--tiny--llava", one="model.safetensors", two="model-00001-of-00002.safetensors")
    put(cache, "models--some--config", one="config.json")
    put(cache, "datasets--some--videos", one="model.safetensors")
    assert cached_sizes() == {"some/tiny--llava": 100}
