# SPDX-License-Identifier: Apache-2.0
"""Options that give answers a shape."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any

import typer

from llava_cli.engine.types import Constraint, Shape
from llava_cli.errors import UsageError

_answer = partial(typer.Option, rich_help_panel="Answer")


def _reader(kind: Shape) -> Callable[[str], Constraint | None]:
    """Reads a shape of this kind, and finds it in order."""

    def read(text: str) -> Constraint | None:
        from llava_cli.engine.shape import read_constraint
        from llava_cli.extras import NotInstalled

        given: dict[str, Any] = {kind: text}
        try:
            return read_constraint(**given)
        except NotInstalled:
            raise
        except UsageError as error:
            raise typer.BadParameter(str(error)) from error

    return read


@dataclass(frozen=True)
class ShapeOptions:
    """The shape that every answer has."""

    schema: Annotated[
        Constraint | None,
        _answer(
            "--schema",
            metavar="FILE|TEXT",
            parser=_reader("schema"),
            help="Answer in JSON that fits this JSON schema, or this short form of one: 'people int, dog bool, "
            "colours [str]'. An answer that --max-new-tokens cuts off is an error.",
        ),
    ] = None
    regex: Annotated[
        Constraint | None,
        _answer(
            "--regex",
            metavar="REGEX",
            parser=_reader("regex"),
            help="Answer in a text all of which this regular expression matches.",
        ),
    ] = None
    grammar: Annotated[
        Constraint | None,
        _answer(
            "--grammar",
            metavar="FILE|TEXT",
            parser=_reader("grammar"),
            help="Answer in a text that this grammar (Lark) derives.",
        ),
    ] = None

    def constraint(self) -> Constraint | None:
        """The one that is given.

        Raises:
            UsageError: there is more than one.
        """
        given = [shape for shape in (self.schema, self.regex, self.grammar) if shape is not None]
        if len(given) > 1:
            options = " and ".join(f"--{shape.kind}" for shape in given)
            raise UsageError(f"{options} cannot be used together: an answer has one shape")
        return given[0] if given else None
