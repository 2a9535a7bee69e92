# SPDX-License-Identifier: Apache-2.0
"""The shape that an answer is to have: a JSON schema, a regular expression or a grammar, read and checked at once."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from llava_cli.engine import constrain, short_schema
from llava_cli.engine.types import SHAPES, Constraint, Shape
from llava_cli.errors import ExitCode, InputError, LlavaError, UsageError
from llava_cli.texts import check_json, check_text, read_text
from llava_cli.words import counted

_MOST_BYTES = 1 << 20
"""Of a file; no schema and no grammar is as long."""
_LONGEST = 80
"""How much of what is neither a file nor a schema is quoted."""


class Misshapen(LlavaError):
    """An answer that does not have the shape that was asked for."""

    code = "shape"
    exit_code = ExitCode.SOME_FAILED


def read_constraint(
    schema: str | os.PathLike[str] | Mapping[str, Any] | None = None,
    regex: str | None = None,
    grammar: str | os.PathLike[str] | None = None,
    *,
    files: bool = True,
) -> Constraint | None:
    """The shape that somebody asks for; None where nobody does.

    Args:
        schema: a JSON schema: an object, its text, the short form (see `short_schema`), or a file that holds a text.
        grammar: in Lark: a text, or a file that holds it.
        files: whether a text may be the name of a file.

    Raises:
        UsageError: there is more than one, a file cannot be read, or it says no such thing; told with the place.
        NotInstalled: the extra that follows shapes is not.
    """
    given = [kind for kind, value in zip(SHAPES, (schema, regex, grammar), strict=True) if value is not None]
    if len(given) > 1:
        raise UsageError(f"{' and '.join(given)} cannot be used together: an answer has one shape")
    if schema is not None:
        return _schema(schema, files)
    if grammar is not None:
        name, text = _content(grammar, "grammar", files)
        if name is None and ":" not in text:
            raise UsageError(
                f"{_shown(text)}: {'no such file; and ' if files else ''}no grammar, which has rules: start: …"
            )
        return _checked("grammar", text, name or "the grammar")
    return None if regex is None else _checked("regex", regex, "the regular expression")


def _schema(given: str | os.PathLike[str] | Mapping[str, Any], files: bool) -> Constraint:
    if isinstance(given, Mapping):
        name, schema = "the schema", given
    else:
        found, text = _content(given, "schema", files)
        if not text.strip():
            raise UsageError(f"{found or 'the schema'}: is empty")
        name = found or "the schema"
        if text.lstrip()[:1] in ("{", "["):
            schema = _parsed(name, text)
        elif found is None and not short_schema.is_short(text):
            missing = "no such file; and " if files else ""
            raise UsageError(f'{_shown(text)}: {missing}no schema, such as {{"type": …}} or people int, dog bool')
        else:
            schema = _expanded(name, text)
    try:
        check_json(name, schema)
    except InputError as error:
        raise UsageError(str(error)) from error
    if not isinstance(schema, Mapping):
        raise UsageError(f"{name}: must be a JSON object")
    return _checked("schema", json.dumps(schema, ensure_ascii=False), name)


def _parsed(name: str, text: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise UsageError(f"{name}: line {error.lineno}, column {error.colno}: {error.msg}") from error
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{name}: is no JSON: {error}") from error


def _expanded(name: str, text: str) -> dict[str, Any]:
    try:
        return short_schema.expand(text)
    except UsageError as error:
        raise UsageError(f"{name}: {error}") from error


def _content(given: str | os.PathLike[str], what: str, files: bool) -> tuple[str | None, str]:
    """The name of a file, and what it holds; or no name, and what was given."""
    text = os.fspath(given)
    if files and os.path.exists(text):  # noqa: PTH110 - Path raises for texts that no file can be called
        return text, read_text(Path(text), _MOST_BYTES, f"a {what}")
    return None, text


def _checked(kind: Shape, text: str, name: str) -> Constraint:
    check_text(kind, text)
    if not text.strip():
        raise UsageError(f"{name}: is empty")
    constraint = Constraint(kind, text)
    if wrong := constrain.complaint(constraint):
        raise UsageError(f"{name}: {wrong}")
    return constraint


def _shown(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"


def misfit(constraint: Constraint, text: str, finish_reason: str, tokens: int) -> Misshapen | None:
    """What is wrong with an answer of so many tokens that was to have a shape; None where it has it."""
    if finish_reason != "stop":
        end = "stopped" if finish_reason == "interrupted" else f"cut off after {counted(tokens, 'token')}"
        remedy = "" if finish_reason == "interrupted" else "; --max-new-tokens allows longer ones"
        error = Misshapen(f"the answer was {end}, before it was whole: {_end(text)}{remedy}", code="cut")
        error.finish_reason = finish_reason
        return error
    if not constrain.fits(constraint, text):
        return Misshapen(f"the answer does not fit the {constraint.kind}: {_end(text)}")
    try:
        json.dumps(value_of(constraint, text), allow_nan=False)
    except ValueError as error:
        return Misshapen(f"the answer has a number in it that is too large: {error}")
    return None


def value_of(constraint: Constraint, text: str) -> Any:
    """What an answer that fits a schema says; None where the shape is no schema.

    Raises:
        ValueError: it has more digits than can be read.
    """
    return json.loads(text) if constraint.kind == "schema" else None


def request_fields(constraint: Constraint) -> dict[str, Any]:
    """What a request to a server that speaks OpenAI's protocol says of the answer's shape.

    A schema goes as everywhere; regular expressions and grammars are vLLM's addition, whose backend decides which
    grammars it takes (Lark: guidance).
    """
    if constraint.kind != "schema":
        return {"structured_outputs": constraint.asked}
    schema = {"name": "answer", "schema": json.loads(constraint.text), "strict": True}
    return {"response_format": {"type": "json_schema", "json_schema": schema}}


def _end(text: str) -> str:
    """The last of an answer, quoted: there it shows what went on for ever."""
    return repr(text if len(text) <= _LONGEST // 2 else f"…{text[-_LONGEST // 2 :]}")
