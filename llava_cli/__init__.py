# SPDX-License-Identifier: Apache-2.0
"""Ask questions about videos and images with LLaVA-family models on your own machine."""

from __future__ import annotations

import logging
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from llava_cli.answer import Answer as Answer
    from llava_cli.answer import AnswerStream as AnswerStream
    from llava_cli.api import Model as Model
    from llava_cli.api import connect as connect
    from llava_cli.api import frames as frames
    from llava_cli.api import load as load
    from llava_cli.batch.jobs import Job as Job
    from llava_cli.batch.task import Failure as Failure
    from llava_cli.chat import Chat as Chat
    from llava_cli.errors import ExitCode as ExitCode
    from llava_cli.errors import InputError as InputError
    from llava_cli.errors import LlavaError as LlavaError
    from llava_cli.errors import ModelError as ModelError
    from llava_cli.errors import OutOfMemory as OutOfMemory
    from llava_cli.errors import OutputError as OutputError
    from llava_cli.errors import UsageError as UsageError
    from llava_cli.media.clip import Clip as Clip
    from llava_cli.media.clip import Still as Still
    from llava_cli.media.limits import Limits as Limits

__version__ = "0.1.0"

# What is asked for is imported then: a TAB in the shell must not wait for libraries.
_HOMES = {
    "load": "api",
    "connect": "api",
    "frames": "api",
    "Model": "api",
    "Chat": "chat",
    "Answer": "answer",
    "AnswerStream": "answer",
    "Job": "batch.jobs",
    "Failure": "batch.task",
    "Clip": "media.clip",
    "Still": "media.clip",
    "Limits": "media.limits",
    "ExitCode": "errors",
    "LlavaError": "errors",
    "InputError": "errors",
    "ModelError": "errors",
    "OutOfMemory": "errors",
    "OutputError": "errors",
    "UsageError": "errors",
}
__all__ = sorted([*_HOMES, "__version__"])

# Nothing is printed by itself; who wants to hear of it installs a handler.
logging.getLogger(__name__).addHandler(logging.NullHandler())


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return __all__
