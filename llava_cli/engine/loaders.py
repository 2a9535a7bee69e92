# SPDX-License-Identifier: Apache-2.0
"""Who answers: a checkpoint in this process, one that a worker keeps loaded, or a server."""

from __future__ import annotations

import logging
from functools import partial
from typing import TYPE_CHECKING

from llava_cli.engine.pool.seam import Terms
from llava_cli.engine.remote.endpoint import Endpoint
from llava_cli.engine.types import LoadOptions, ModelLoader
from llava_cli.models.family import Family
from llava_cli.models.served import Served

if TYPE_CHECKING:
    from llava_cli.engine.loader import Loader

log = logging.getLogger(__name__)


def open_loader(
    model: Family | Served,
    options: LoadOptions,
    keep_s: float | None = None,
    endpoint: Endpoint | None = None,
    elsewhere: Terms | None = None,
) -> ModelLoader:
    """What will load a model, or find it.

    Args:
        keep_s: seconds that a worker keeps it loaded after the last command; None loads it in this process.
        endpoint: the server that has it.
        elsewhere: what the engines run in that answer in the place of this loader's own.

    Raises:
        UsageError: the machine has no such device, or it lacks a package.
        ModelError: the checkpoint is incomplete or damaged.
    """
    if isinstance(model, Served):
        if endpoint is None:
            raise ValueError("a served model needs its server")
        from llava_cli.engine.remote.engine import RemoteLoader

        return RemoteLoader(model, endpoint)
    here = partial(_in_this_process, model, options, elsewhere)
    if keep_s is None or elsewhere is not None:
        return here()
    from llava_cli.engine.warm.client import WarmLoader

    try:
        return WarmLoader(model, options, keep_s, here)
    except OSError as error:
        log.warning("no worker can be had (%s): answering in this process", error)
        return here()


def _in_this_process(family: Family, options: LoadOptions, elsewhere: Terms | None) -> Loader:
    from llava_cli.engine.loader import Loader

    return Loader(family, options, elsewhere)
