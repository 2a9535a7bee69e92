# SPDX-License-Identifier: Apache-2.0
"""What the hub's cache on this machine holds. Only looks; never asks the network."""

from __future__ import annotations

from pathlib import Path


def cache_folder() -> Path:
    """Where the hub's library keeps what it downloads."""
    from huggingface_hub import constants

    return Path(constants.HF_HUB_CACHE)


def is_described(hub_id: str) -> bool:
    """Whether the small files of a checkpoint are in the cache: how it sees, and how it is asked."""
    return any((cache_folder() / f"models--{hub_id.replace('/', '--')}").glob("snapshots/*/config.json"))


def cached_sizes() -> dict[str, int]:
    """Bytes of every checkpoint in the cache by hub id, if its weights are among them."""
    sizes = {}
    for repository in cache_folder().glob("models--*--*"):
        if any(repository.glob("snapshots/*/*.safetensors")):
            organization, _, name = repository.name.removeprefix("models--").partition("--")
            blobs = repository.glob("blobs/*")
            sizes[f"{organization}/{name}"] = sum(blob.stat().st_size for blob in blobs if blob.is_file())
    return sizes
