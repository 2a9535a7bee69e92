# SPDX-License-Identifier: Apache-2.0
"""Memory: telling that it ran out."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from llava_cli.errors import OutOfMemory


def is_out_of_memory(error: BaseException) -> bool:
    """Whether this exception says that a device or the machine is out of memory."""
    if isinstance(error, MemoryError):
        return True
    if not isinstance(error, Exception):
        return False
    from accelerate.utils.memory import should_reduce_batch_size

    return bool(should_reduce_batch_size(error))


@contextmanager
def out_of_memory_as(message: str) -> Iterator[None]:
    """Turn any library's way of running out of memory into `OutOfMemory` with this message."""
    try:
        yield
    except Exception as error:
        if is_out_of_memory(error):
            raise OutOfMemory(message) from error
        raise
