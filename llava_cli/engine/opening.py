# SPDX-License-Identifier: Apache-2.0
"""Which loader stands for a checkpoint: one in this process, in a worker that stays, or for engines elsewhere."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from llava_cli.engine.pool.seam import Terms
from llava_cli.engine.types import LoadOptions
from llava_cli.models.family import Family

if TYPE_CHECKING:
    from llava_cli.engine.loader import Loader
    from llava_cli.engine.warm.client import WarmLoader

log = logging.getLogger(__name__)


def open_loader(
    family: Family, options: LoadOptions, keep_s: float | None = None, elsewhere: Terms | None = None
) -> Loader | WarmLoader:
    """Everything about a model but its weights.

    Args:
        keep_s: have a worker load it, which keeps it for so many seconds in which nobody asks.
        elsewhere: what the engines run in that answer in the place of this loader's own.

    Raises:
        UsageError: the machine has no such device, or it lacks a package.
        ModelError: the checkpoint is incomplete or damaged.
    """

    def local() -> Loader:
        from llava_cli.engine.loader import Loader

        return Loader(family, options, elsewhere)

    if keep_s is None or elsewhere is not None:
        return local()
    from llava_cli.engine.warm.client import WarmLoader

    try:
        return WarmLoader(family, options, keep_s, local)
    except OSError as error:
        log.warning("no worker can be had (%s): answering in this process", error)
        return local()
