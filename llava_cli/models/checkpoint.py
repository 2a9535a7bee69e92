# SPDX-License-Identifier: Apache-2.0
"""A checkpoint: a local folder or a hub id, in the hub's file layout. Its small files are read here, never its code."""

from __future__ import annotations

import os
import re
import socket
from dataclasses import dataclass, replace
from difflib import get_close_matches
from functools import cached_property
from pathlib import Path
from typing import Any

from llava_cli.errors import ModelError
from llava_cli.hub import asking_hub
from llava_cli.models import files, library
from llava_cli.models.fields import Fields
from llava_cli.models.published import PUBLISHED

DEFAULT = "next-video-7b"

DEMO = "demo"
_DEMO_FOLDER = Path(__file__).parents[1] / "demo" / "checkpoint"

_HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")
# Weights as safetensors only; no Python files, no pickles.
_SMALL_FILES = ["*.json", "*.jinja", "merges.txt"]
_ALL_FILES = [*_SMALL_FILES, "*.safetensors"]


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint whose `config.json` has been read; the weights may still be on the hub."""

    name: str
    """As the user named it."""
    folder: Path
    config: dict[str, Any]
    """What `config.json` says, unchecked."""
    hub_id: str | None = None
    revision: str | None = None
    """The commit on the hub; None for a local folder."""
    dummy: bool = False
    """There are no files: the published geometry with random weights, to measure a machine and never to answer."""
    rope_factor: float | None = None
    """By how much its positions have been stretched, where they have; see `with_linear_rope`."""

    @property
    def tokenizer_folder(self) -> Path:
        """Where `tokenizer.json` is; dummies borrow the demo checkpoint's."""
        return _DEMO_FOLDER if self.dummy else self.folder

    def read_json(self, filename: str) -> dict[str, Any]:
        """A JSON file of the checkpoint; {} where there is none.

        Raises:
            ModelError: the file is damaged, or no plain file.
        """
        return files.read_json(self.folder, filename)

    @property
    def fields(self) -> Fields:
        """What `config.json` says, to be checked."""
        return Fields(self.config, f"{self.name}: config.json", library=lambda: library.defaults(self.config))

    @property
    def generation(self) -> Fields | None:
        """How the checkpoint wants answers to be generated, where it says that."""
        filename = "generation_config.json"
        own = self.read_json(filename)
        return Fields(own, f"{self.name}: {filename}") if own else None

    @cached_property
    def preprocessor(self) -> Fields:
        """How images are preprocessed, whichever file the checkpoint's age puts it in."""
        return self._processor("preprocessor_config.json", "image_processor")

    @cached_property
    def video_preprocessor(self) -> Fields:
        """How video frames are preprocessed, where the checkpoint says it apart from images."""
        return self._processor("video_preprocessor_config.json", "video_processor")

    def _processor(self, filename: str, key: str) -> Fields:
        """What a file of its own says, or else one object of the file for everything."""
        if own := self.read_json(filename):
            return Fields(own, f"{self.name}: {filename}")
        together = "processor_config.json"
        return Fields(self.read_json(together), f"{self.name}: {together}").object(key)

    @cached_property
    def chat_template(self) -> str | None:
        """The checkpoint's own chat template.

        The processor's template comes first: a tokenizer's is often the language model's and knows no media.
        """
        candidates = (
            self.read_json("chat_template.json").get("chat_template"),
            files.read_text(self.folder, "chat_template.jinja"),
            self.read_json("processor_config.json").get("chat_template"),
            self.read_json("tokenizer_config.json").get("chat_template"),
        )
        return next((text for text in candidates if isinstance(text, str) and text.strip()), None)

    @property
    def is_here(self) -> bool:
        """Whether nothing has to be downloaded, as far as a look at the folder tells."""
        return self.hub_id is None or any(self.folder.glob("*.safetensors"))

    def fetch(self) -> None:
        """Download what is not on this machine yet, weights included, with progress bars on a terminal.

        Raises:
            ModelError: the hub does not give it.
        """
        if self.hub_id is not None:
            _from_hub(self.hub_id, self.revision, _ALL_FILES)

    def weights(self) -> list[Path]:
        """The files of the weights: safetensors only, since pickles run code.

        Raises:
            ModelError: there are none, or they are not all here.
        """
        return files.weights(self.folder)


def open_checkpoint(name: str, revision: str | None = None) -> Checkpoint:
    """Find a checkpoint and read its `config.json`: `demo`, a short name, a local folder, or a hub id.

    Raises:
        ModelError: there is no such checkpoint, or it cannot be reached.
    """
    if name == DEMO:
        return _open_folder(name, _DEMO_FOLDER)
    if name and name not in PUBLISHED and Path(name).is_dir():
        return _open_folder(name, Path(name))
    hub_id = PUBLISHED[name].hub_id if name in PUBLISHED else name
    if not _HUB_ID.fullmatch(hub_id) or hub_id.startswith("."):
        raise ModelError(f"{name}: no such folder, short name or hub id; {_meant(name)}")
    folder = _from_hub(hub_id, revision, _SMALL_FILES)
    return replace(_open_folder(hub_id, folder), hub_id=hub_id, revision=folder.name)


def found_here(checkpoint: Checkpoint) -> Checkpoint:
    """The same checkpoint on this machine, which may be another one than that which opened it.

    Raises:
        ModelError: it is not here, or the hub does not give it.
    """
    if checkpoint.dummy or checkpoint.folder.is_dir():
        return checkpoint
    if checkpoint.name == DEMO:
        return replace(checkpoint, folder=_DEMO_FOLDER)
    if checkpoint.hub_id is None:
        raise ModelError(
            f"{checkpoint.folder}: {socket.gethostname()} has no such folder; put the checkpoint on a disk that all "
            "machines have, or name it by its hub id"
        )
    return replace(checkpoint, folder=_from_hub(checkpoint.hub_id, checkpoint.revision, _SMALL_FILES))


def dummy_checkpoint(name: str) -> Checkpoint:
    """The geometry of a released checkpoint, without its files.

    Raises:
        ModelError: this is no short name.
    """
    if name not in PUBLISHED:
        raise ModelError(f"{name}: only short names have a known geometry; {_meant(name)}")
    return Checkpoint(name, Path(os.devnull).parent / "no-such-folder", PUBLISHED[name].config, dummy=True)


def _meant(name: str) -> str:
    """What to do about a name that stands for nothing."""
    names = {known.lower(): known for known in (DEMO, *PUBLISHED)}
    close = [name.lower()] if name.lower() in names else get_close_matches(name.lower(), names)
    if close:
        return f"did you mean {' or '.join(names[one] for one in close)}?"
    return f"`llava models` lists short names, and the built-in checkpoint is '{DEMO}'"


def with_linear_rope(checkpoint: Checkpoint, factor: float) -> Checkpoint:
    """The checkpoint with its positions stretched, so that prompts may be `factor` times as long as in training."""
    config = checkpoint.config
    fields = checkpoint.fields.object("text_config") if "text_config" in config else checkpoint.fields
    theta = fields.object("rope_parameters").values.get("rope_theta", fields.values.get("rope_theta"))
    text = {key: value for key, value in fields.values.items() if key != "rope_parameters"}
    text |= {"rope_scaling": {"type": "linear", "factor": factor}} | ({"rope_theta": theta} if theta else {})
    config = config | {"text_config": text} if "text_config" in config else text
    return replace(checkpoint, config=config, rope_factor=factor)


def _open_folder(name: str, folder: Path) -> Checkpoint:
    config = Checkpoint(name, folder, {}).read_json("config.json")
    if not config:
        raise ModelError(f"{name}: this folder has no config.json, so it is not a checkpoint")
    return Checkpoint(name, folder, config)


def _from_hub(hub_id: str, revision: str | None, patterns: list[str]) -> Path:
    """The folder in the hub's cache that holds a commit's files, downloaded where they are not there yet."""
    with asking_hub(
        ModelError, hub_id, revision, f", name a local folder, or try the built-in checkpoint: --model {DEMO}"
    ):
        from huggingface_hub import snapshot_download

        return Path(snapshot_download(hub_id, revision=revision, allow_patterns=patterns))
