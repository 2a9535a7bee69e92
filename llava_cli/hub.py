# SPDX-License-Identifier: Apache-2.0
"""The hub's library: what it raises, in our words."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

from llava_cli.errors import LlavaError, first_line


@contextmanager
def asking_hub(error_class: type[LlavaError], name: str, revision: str | None, otherwise: str = "") -> Iterator[None]:
    """Call the hub's library in this; what it raises becomes an error about `name`, of one line and with a code.

    Args:
        otherwise: what may be done where the hub cannot be reached, beside looking at the network.

    Raises:
        LlavaError: an `error_class`, whatever goes wrong.
    """
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    from huggingface_hub import constants, errors

    try:
        yield
    except LlavaError:
        raise
    except errors.GatedRepoError as error:
        raise error_class(
            f"{name}: access is restricted; accept its terms on the hub, then run `hf auth login`", code="gated"
        ) from error
    except errors.RevisionNotFoundError as error:
        raise error_class(f"{name}: has no revision {revision!r}", code="not_found") from error
    except errors.RepositoryNotFoundError as error:
        raise error_class(f"{name}: not on the hub, or private (`hf auth login`)", code="not_found") from error
    except errors.LocalEntryNotFoundError as error:
        why, remedy = "the hub cannot be reached", "check the network"
        if constants.HF_HUB_OFFLINE:
            why, remedy = "HF_HUB_OFFLINE is set, so that nothing is downloaded", "unset it"
        raise error_class(f"{name}: not in the local cache, and {why}; {remedy}{otherwise}", code="offline") from error
    except errors.EntryNotFoundError as error:
        raise error_class(f"{name}: the hub has no such file there", code="not_found") from error
    except Exception as error:  # of the library, of those below it, and of the system
        raise error_class(f"{name}: the hub does not give it: {first_line(error)}") from error
