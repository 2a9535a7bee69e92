# SPDX-License-Identifier: Apache-2.0
"""Files of data sets on the hub, by the names that its library gives them: `hf://datasets/OWNER/NAME/FILE`.

They are downloaded whole, into the hub's own cache, by this process: decoders are given a file on disk, and no token.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from llava_cli.errors import InputError
from llava_cli.hub import asking_hub
from llava_cli.media.limits import Limits
from llava_cli.media.source import Source

log = logging.getLogger(__name__)

# A revision follows the name; those that hold slashes are written as %2F, or are the hub's own kinds.
_NAME = re.compile(
    r"hf://datasets/([\w.-]+/[\w.-]+?)(?:@(refs/(?:convert|pr)/[\w.-]+|[^/@]+))?/([^/].*)", re.IGNORECASE | re.DOTALL
)


@dataclass(frozen=True)
class HubFile:
    """A file of a data set."""

    name: str
    """As the user wrote it."""
    repository: str
    revision: str | None
    path: str

    @property
    def address(self) -> dict[str, Any]:
        """The same as arguments of the hub's library."""
        return {
            "repo_id": self.repository, "filename": self.path, "repo_type": "dataset", "revision": self.revision,
        }  # fmt: skip


def parse(name: str) -> HubFile:
    """The file that a name stands for.

    Raises:
        InputError: it stands for none.
    """
    found = _NAME.fullmatch(name)
    parts = found[3].split("/") if found else []
    if found is None or {"", ".", ".."} & set(parts):
        raise InputError(
            f"{name}: is no file of a data set on the hub; write hf://datasets/OWNER/NAME/FILE, or "
            "OWNER/NAME@REVISION for another revision than main"
        )
    return HubFile(name, found[1], unquote(found[2]) if found[2] else None, found[3])


@contextmanager
def open_hub_file(name: str, limits: Limits) -> Iterator[Source]:
    """The file on disk, downloaded where it is not there yet.

    Raises:
        InputError: the hub does not give it, or it is too large to be downloaded.
    """
    yield Source(_fetch(parse(name), limits), name, limits)


def version(name: str) -> str:
    """What the hub knows the file's contents by: the same for the same contents, whatever else changes around it.

    Raises:
        InputError: the hub does not say it, and it is not in the cache.
    """
    file = parse(name)
    local = Path(_found(file).local_path)
    if local.is_symlink():  # into the hub's cache, where files are named by their versions
        return local.readlink().name
    with asking_hub(InputError, name, file.revision):
        from huggingface_hub import get_hf_file_metadata, hf_hub_url

        return str(get_hf_file_metadata(hf_hub_url(**file.address)).etag)


def _found(file: HubFile) -> Any:
    """Where the file is or will be, its size, and whether it must be downloaded; the cache's where there is no hub."""
    with asking_hub(InputError, file.name, file.revision):
        from huggingface_hub import hf_hub_download

        return hf_hub_download(**file.address, dry_run=True)


def _fetch(file: HubFile, limits: Limits) -> str:
    found = _found(file)
    if Path(found.local_path).exists():
        return str(Path(found.local_path).absolute())
    if found.will_download:
        if found.file_size is None or found.file_size > limits.max_bytes:
            size = "of unknown size" if found.file_size is None else f"{found.file_size} bytes long"
            raise InputError(
                f"{file.name}: is {size}, and {limits.max_bytes} may be downloaded; --max-bytes allows more"
            )
        log.info("%s: downloading %.1f MB", file.name, found.file_size / 1e6)
    with asking_hub(InputError, file.name, file.revision):
        from huggingface_hub import hf_hub_download

        return str(Path(hf_hub_download(**file.address)).absolute())
