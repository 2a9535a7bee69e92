# SPDX-License-Identifier: Apache-2.0
"""Options in groups: a command takes a dataclass, and Typer sees an option for each of its fields.

A group is a frozen dataclass all of whose fields are annotated as Typer's options and have defaults. A command's
parameter of that type stands for them, in their order and where the parameter stands:

    def ask(*, choice: ModelOptions, showing: Annotated[FrameOptions, Without("fit")]): ...

`Without` names fields that are no options of this command: they keep their defaults. The defaults are the group's
own, or those of the instance that is the parameter's default.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import fields, is_dataclass, replace
from functools import wraps
from typing import Annotated, Any, get_args, get_origin, get_type_hints


class Without:
    """The fields of a group that are no options of a command."""

    def __init__(self, *names: str) -> None:
        self.names = frozenset(names)


def expand_groups(command: Callable[..., None]) -> Callable[..., None]:
    """The command as Typer wants it: with a parameter for each option instead of groups."""
    hints = get_type_hints(command, include_extras=True)
    parameters: list[inspect.Parameter] = []
    groups: dict[str, tuple[Any, list[str]]] = {}
    for parameter in inspect.signature(command).parameters.values():
        name, hint = parameter.name, hints[parameter.name]
        kind, *extras = get_args(hint) if get_origin(hint) is Annotated else (hint,)
        if is_dataclass(kind) and isinstance(kind, type):
            defaults = kind() if parameter.default is inspect.Parameter.empty else parameter.default
            options = _options(kind, defaults, frozenset().union(*(without.names for without in extras)))
            groups[name] = defaults, [option.name for option in options]
            parameters += options
        else:
            parameters.append(_parameter(name, hint, parameter.default))

    @wraps(command)
    def call(**given: Any) -> None:
        made = {
            name: replace(defaults, **{option: given.pop(option) for option in options})
            for name, (defaults, options) in groups.items()
        }
        command(**given, **made)

    call.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    call.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return call


def _options(group: type, defaults: Any, without: frozenset[str]) -> list[inspect.Parameter]:
    hints = get_type_hints(group, include_extras=True)
    unknown = without - hints.keys()
    if unknown:
        raise TypeError(f"{group.__name__} has no {', '.join(sorted(unknown))}")
    names = [field.name for field in fields(group) if field.name not in without]
    return [_parameter(name, hints[name], getattr(defaults, name)) for name in names]


def _parameter(name: str, hint: Any, default: Any) -> inspect.Parameter:
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=hint)
