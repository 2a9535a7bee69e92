# SPDX-License-Identifier: Apache-2.0
"""What a config.json leaves out: whatever the library's own classes, which build the model, take for it."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

from llava_cli import __version__
from llava_cli.errors import ModelError, first_line
from llava_cli.remembered import remembered

if TYPE_CHECKING:
    from transformers import PretrainedConfig

# A class that was drafted but never released has the defaults of the one that it was drafted from.
_DRAFTED_FROM = {"llava_next_video2": "llava_next_video"}


def defaults(config: Mapping[str, Any]) -> Mapping[str, Any]:
    """Every field's default in a checkpoint of this kind, made of such parts; those of its parts as objects in it.

    Raises:
        ModelError: the library knows no such checkpoint, or is not there to be asked.
    """
    kind = config.get("model_type")
    return _defaults(
        _DRAFTED_FROM.get(str(kind), str(kind)),
        *(_kind_of(config.get(part)) for part in ("text_config", "vision_config")),
    )


def _kind_of(part: Any) -> str | None:
    return part.get("model_type") if isinstance(part, Mapping) and isinstance(part.get("model_type"), str) else None


@cache
def _defaults(kind: str, text: str | None, vision: str | None) -> Mapping[str, Any]:
    """What the installed library takes; to import it takes seconds."""
    return remembered("defaults", [__version__, _version(), kind, text, vision], lambda: _asked(kind, text, vision))


def _version() -> str | None:
    try:
        return version("transformers")
    except PackageNotFoundError:
        return None


def _asked(kind: str, text: str | None, vision: str | None) -> Mapping[str, Any]:
    try:
        from transformers import CONFIG_MAPPING
    except ImportError as error:
        raise ModelError(
            f"what its config.json leaves out is known to transformers, which cannot be imported: {first_line(error)}"
        ) from error
    parts = {"text_config": text, "vision_config": vision}
    said = {part: {} if made_of is None else {"model_type": made_of} for part, made_of in parts.items()}
    try:
        known: dict[str, Any] = (_own(kind) or CONFIG_MAPPING[kind])(**said).to_dict()
    except Exception as error:  # the library raises errors of many kinds for what it does not know
        of = ", ".join(part for part in (text, vision) if part)
        raise ModelError(f"transformers knows no {kind}{of and f' of {of}'}: {first_line(error)}") from error
    return known


def _own(kind: str) -> type[PretrainedConfig] | None:
    """The class of what the library does not know, and this program does."""
    from llava_cli.models.llava_onevision2_config import LlavaOnevision2Config

    return LlavaOnevision2Config if kind == LlavaOnevision2Config.model_type else None
