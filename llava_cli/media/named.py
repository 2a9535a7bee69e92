# SPDX-License-Identifier: Apache-2.0
"""Media as they are named, in lists, conversations and records: a file, and what of it is to be shown."""

from __future__ import annotations

import base64
import os
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeVar, get_args

from llava_cli.errors import InputError, UsageError
from llava_cli.media.clip import Policy
from llava_cli.media.limits import MAX_FRAMES
from llava_cli.media.sampling import parse_time

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

Choice = TypeVar("Choice", bound="DataclassInstance")
"""Whatever has fields of the same names."""
# Numbers of JSON may be larger than any that can be reckoned with.
_LARGEST = 1e100
_SCHEME = re.compile(r"[a-z][a-z0-9+.-]*://", re.IGNORECASE)


@dataclass(frozen=True)
class Excerpt:
    """What of a video is shown; None leaves it to what holds for all media."""

    start: float | None = None
    """Seconds."""
    end: float | None = None
    frames: int | None = None
    """At most so many."""
    fps: float | None = None
    """Frames a second, instead of a number of frames."""
    sampling: Policy | None = None

    @property
    def said(self) -> dict[str, Any]:
        """What is not left open."""
        return {key: value for key, value in vars(self).items() if value is not None}

    def over(self, other: Choice) -> Choice:
        """What holds for more than this medium, with what is said of this one in its place."""
        said = self.said
        return replace(other, **({"fps": None, **said} if "sampling" in said else said))


WHOLE = Excerpt()


def excerpt_of(entry: Mapping[str, Any]) -> Excerpt:
    """What an object of JSON says of what is shown.

    Raises:
        InputError: a value makes no sense; the message begins with its key.
    """
    start, end = _time(entry, "start"), _time(entry, "end")
    if end is not None and end <= (start or 0):
        raise InputError("end must be after start")
    frames, fps, sampling = (entry.get(key) for key in ("frames", "fps", "sampling"))
    if not is_a(frames, int) or not 1 <= (1 if frames is None else frames) <= MAX_FRAMES:
        raise InputError(f"frames must be a whole number from 1 to {MAX_FRAMES}")
    if not is_a(fps, int, float) or not 0 < (1 if fps is None else fps) <= _LARGEST:
        raise InputError("fps must be a number above 0")
    policies = [policy for policy in get_args(Policy) if policy != "fps"]
    if sampling is not None and (sampling not in policies or fps is not None):
        raise InputError(f"sampling must be one of {', '.join(policies)}, and goes without fps")
    return Excerpt(start, end, frames, fps, sampling)


def path_of(given: Any) -> str | None:
    """A path, or what an object of JSON says of it: `path_b64` holds the bytes of a name that is no text."""
    if isinstance(given, dict):
        try:
            if "path_b64" in given:
                return os.fsdecode(base64.b64decode(given["path_b64"], validate=True))
        except (TypeError, ValueError):
            return None
        given = given.get("path")
    return os.fsdecode(given) if isinstance(given, str | os.PathLike) else None


def is_address(name: str) -> bool:
    """Whether a name begins as addresses do (https://…), and is to be left as it is: a path has one slash there."""
    return _SCHEME.match(name) is not None


def is_a(value: Any, *kinds: type) -> bool:
    """Whether a value is of one of these kinds, or not given; Python's booleans are numbers, JSON's are not."""
    return value is None or (isinstance(value, kinds) and not isinstance(value, bool))


def _time(entry: Mapping[str, Any], key: str) -> float | None:
    given = entry.get(key)
    with suppress(UsageError, OverflowError):
        time = parse_time(given) if isinstance(given, str) else given
        if is_a(time, int, float) and 0 <= (time or 0) <= _LARGEST:
            return time
    raise InputError(f"{key} must be seconds or h:mm:ss")
