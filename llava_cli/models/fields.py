# SPDX-License-Identifier: Apache-2.0
"""The fields of a checkpoint's JSON files. Whoever wrote them may have erred: each is checked as it is read."""

from __future__ import annotations

import re
import reprlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, TypeVar

from llava_cli.errors import ModelError

LIBRARY: Any = object()
"""As a field's default: what the library's own class takes where the field is missing."""

_MOST = 2**31 - 1
_LARGEST = 1e9
_MOST_IDS = 64
_MOST_SIZES, _MOST_PIXELS, _MOST_UNITS = 1000, 1 << 26, 400
"""Of a list of sizes: how many, and how large each may be, in pixels and in units."""
_Choice = TypeVar("_Choice")


@dataclass(frozen=True)
class Fields:
    """A JSON object of a checkpoint. A field that is missing or null has its default, or the library's own.

    Raises (every method):
        ModelError: the field holds something else than is asked for.
    """

    values: Mapping[str, Any]
    source: str
    """The checkpoint and the file, for errors."""
    prefix: str = ""
    """Where in the file the object is, e.g. `vision_config.`."""
    library: Callable[[], Mapping[str, Any]] = dict
    """Gives the defaults of the library's own class; asked only for a field that is missing, since it takes seconds."""

    def object(self, key: str, required: bool = False) -> Fields:
        """An object; an empty one where it is missing, unless it is `required`."""
        value = self._checked(key, None if required else {}, lambda v: isinstance(v, Mapping), "an object")
        library = partial(_part, self.library, key)  # no lambda: checkpoints are sent to workers
        return replace(self, values=value, prefix=f"{self.prefix}{key}.", library=library)

    def integer(self, key: str, default: int = LIBRARY, least: int = 1, most: int = _MOST) -> int:
        """A whole number from `least` to `most`."""
        return int(
            self._checked(
                key, default, lambda v: _is_whole(v) and least <= v <= most, f"a whole number from {least} to {most}"
            )
        )

    def number(self, key: str, default: float, least: float) -> float:
        """A number that is `least` or more."""
        return float(self._checked(key, default, lambda v: _is_number(v) and v >= least, f"a number from {least}"))

    def numbers(self, key: str, default: Sequence[float], least: float) -> list[float]:
        """As many numbers as the default has, each `least` or more."""

        def valid(value: Any) -> bool:
            return _is_list(value, len(default)) and all(_is_number(v) and v >= least for v in value)

        return list(self._checked(key, default, valid, f"{len(default)} numbers from {least}"))

    def text(self, key: str, default: str) -> str:
        """A text."""
        return str(self._checked(key, default, lambda v: isinstance(v, str), "a text"))

    def texts(self, key: str) -> tuple[str, ...]:
        """A list of texts; an empty one where it is missing."""
        return tuple(
            self._checked(key, [], lambda v: _is_list(v) and all(isinstance(t, str) for t in v), "a list of texts")
        )

    def choice(self, key: str, default: _Choice | None, choices: Sequence[_Choice]) -> _Choice:
        """One of some values."""
        *others, last = map(str, choices)
        expected = f"{', '.join(others)} or {last}" if others else last
        value: _Choice = self._checked(key, default, lambda v: v in choices, expected)
        return value

    def choices(self, key: str, choices: Sequence[str], most: int) -> list[str]:
        """At most so many of some values, in any order."""
        names = self._checked(
            key,
            [],
            lambda v: _is_list(v) and len(v) <= most and all(one in choices for one in v),
            f"a list of {' and '.join(choices)}",
        )
        return list(names)

    def ids(self, key: str) -> list[int]:
        """Ids of tokens: one, or a list of some; -1 is none."""

        def valid(value: Any) -> bool:
            some = value if _is_list(value) else [value]
            return len(some) <= _MOST_IDS and all(_is_whole(one) and -1 <= one <= _MOST for one in some)

        value = self._checked(key, [], valid, "the id of a token, or a list of such")
        return [value] if _is_whole(value) else list(value)

    def indices(self, key: str, default: int, length: int) -> list[int]:
        """A place, or several, in a list of this length; negative ones count from its end."""

        def valid(value: Any) -> bool:
            places = value if _is_list(value) and value else [value]
            return len(places) <= length and all(_is_whole(place) and -length <= place < length for place in places)

        value = self._checked(key, default, valid, f"from {-length} to {length - 1}, or a list of such numbers")
        return [value] if _is_whole(value) else list(value)

    def unset(self, key: str) -> None:
        """Make sure that a field asks for nothing."""
        self._checked(key, False, lambda v: v in (False, "", "False", "false"), "false: nothing else is supported")

    def numbered(self, key: str, default: str = LIBRARY, prefix: str = "") -> int:
        """The number from 1 to 99 at the end of a text that begins with `prefix`."""

        def valid(value: Any) -> bool:
            return isinstance(value, str) and re.fullmatch(re.escape(prefix) + "[1-9][0-9]?", value) is not None

        return int(self._checked(key, default, valid, f"{prefix} and a number").removeprefix(prefix))

    def flag(self, key: str, default: bool) -> bool:
        """A truth value, which some authors' files hold as a text."""
        texts = {"true": True, "false": False}
        value = self._checked(
            key, default, lambda v: isinstance(v, bool) or v in ("True", "False", *texts), "a boolean"
        )
        return value if isinstance(value, bool) else texts[value.lower()]

    def sizes(self, key: str, default: Sequence[Sequence[int]] = LIBRARY, unit: int = 1) -> list[list[int]]:
        """At least one pair of whole numbers, each a multiple of `unit`."""

        def valid(size: Any) -> bool:
            if not (_is_list(size, 2) and all(_is_whole(edge) and edge > 0 and edge % unit == 0 for edge in size)):
                return False
            area = size[0] * size[1]
            return area <= _MOST_PIXELS and (unit == 1 or area // unit**2 <= _MOST_UNITS)

        expected = f"a list of pairs of multiples of {unit}, of which each makes a picture of a sane size"
        sizes = self._checked(
            key, default, lambda v: _is_list(v) and 0 < len(v) <= _MOST_SIZES and all(map(valid, v)), expected
        )
        return [list(size) for size in sizes]

    def edges(self, key: str, edge: int) -> tuple[str, ...]:
        """The edges that a size names, `shortest_edge` or `height` and `width`, each of which must be `edge` pixels.

        A bare number is the shortest edge; where there is no size, there are no names.
        """
        value = self.values.get(key)
        if value is None:
            return ()
        edges = value if isinstance(value, Mapping) else {"shortest_edge": value}
        named = {name: pixels for name, pixels in edges.items() if pixels is not None}
        valid = set(named) in ({"shortest_edge"}, {"height", "width"}) and all(named[name] == edge for name in named)
        self._checked(key, value, lambda _: valid, f"{edge} pixels, which the vision tower sees")
        return tuple(sorted(named))

    def must_be(self, key: str, value: bool, default: bool, why: str) -> None:
        """Refuse the other truth value."""
        if self.flag(key, default) is not value:
            said = f"{self.source} says {self.prefix}{key} = {reprlib.repr(self.values.get(key))}"
            raise ModelError(f"{said}; it must be {str(value).lower()}: {why}")

    def _checked(self, key: str, default: Any, valid: Callable[[Any], bool], expected: str) -> Any:
        """The field or its default, which must be valid too: it may contradict other fields."""
        value = self.values.get(key)
        if value is None:
            value = self.library().get(key) if default is LIBRARY else default
        if not valid(value):
            name = self.prefix + key
            told = f"has no {name}" if value is None else f"says {name} = {reprlib.repr(value)}"
            raise ModelError(f"{self.source} {told}; it must be {expected}")
        return value


def _part(library: Callable[[], Mapping[str, Any]], key: str) -> Mapping[str, Any]:
    """What the library takes for an object in another one."""
    return library().get(key) or {}


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value: Any) -> bool:
    return (_is_whole(value) or isinstance(value, float)) and abs(value) < _LARGEST


def _is_list(value: Any, length: int | None = None) -> bool:
    return isinstance(value, list | tuple) and length in (None, len(value))
