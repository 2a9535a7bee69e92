# SPDX-License-Identifier: Apache-2.0
"""Which tokens an answer of some shape may go on with: llguidance, and the only module that knows of it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from functools import cache, lru_cache
from itertools import product
from typing import TYPE_CHECKING, Any

from llava_cli.engine.types import Constraint
from llava_cli.extras import need
from llava_cli.models.tokenizer import failures_told

if TYPE_CHECKING:
    from llguidance import LLMatcher, LLTokenizer
    from transformers import PreTrainedTokenizerBase

_KEPT = 64
"""Shapes that are compiled once: of a list, all jobs have one, or one of a few."""
_END = 256
"""The token behind the bytes, in the table that has one token for each."""
_NOTHING_FITS = "NoExtension"
"""What the library says where nothing can be added to a text that is not whole yet."""


class Vocabulary:
    """The tokens of one checkpoint."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase, name: str) -> None:
        """`name`: of whose checkpoint, for errors.

        Raises:
            NotInstalled: the extra is not.
            ModelError: nothing can be made of the tokenizer.
        """
        need("llguidance", "schema")
        from llguidance.hf import from_tokenizer

        with failures_told(f"{name}: its tokenizer is of a kind that answers of some shape cannot be made with"):
            self._table: LLTokenizer = from_tokenizer(tokenizer, slices=None)
        self._compiled = lru_cache(_KEPT)(lambda constraint: _matcher(self._table, constraint, " "))

    @property
    def words(self) -> int:
        """How many 32-bit words hold a bit for each token."""
        return -(-self._table.vocab_size // 32)

    def matcher(self, constraint: Constraint) -> LLMatcher:
        """What follows one answer from token to token.

        It may begin with a space, as the first word of a text does in many vocabularies; answers go without.
        """
        return self._compiled(constraint).deep_copy()


def complaint(constraint: Constraint) -> str | None:
    """What is wrong with a shape, with the place; None where it is in order.

    Raises:
        NotInstalled: the extra is not.
    """
    need("llguidance", "schema")
    if wrong := _invalid(constraint):
        place = _place(json.loads(constraint.text), wrong) if constraint.kind == "schema" else ""
        return f"{place}{_told(wrong, constraint.kind)}"
    matcher = _matcher(_bytes(), constraint)
    matcher.compute_bitmask()
    if not matcher.is_error():
        return None
    said = matcher.get_error()
    return "no text fits it" if said.startswith(_NOTHING_FITS) else _told(said, constraint.kind)


def fits(constraint: Constraint, text: str) -> bool:
    """Whether a whole answer has a shape."""
    if constraint.kind == "schema":
        return _is_all(constraint, text) or _fits_in_any_order(constraint, text)
    # An answer has no white space at its ends, whatever the shape says of it there.
    return any(_is_all(constraint, f"{before}{text}{after}") for before, after in product(("", " ", "\n"), repeat=2))


def _fits_in_any_order(constraint: Constraint, text: str) -> bool:
    """Whether a document fits a schema once its keys stand in the order of the schema's.

    Who generates by a schema writes keys in its order, and no white space; others may not. So the keys of both are
    sorted, those that the schema does not name last.
    """
    schema = json.loads(constraint.text)
    named = {key for _, part in _parts(schema) for key in part.get("properties", ())}
    try:
        said = _sorted(json.loads(text), named)
        document = json.dumps(said, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    except (ValueError, RecursionError):
        return False
    document = document.replace("\x7f", r"\u007f")  # which need not be escaped, but is by those who follow schemas
    return _is_all(Constraint("schema", json.dumps(schema, ensure_ascii=False, sort_keys=True)), document)


def _sorted(value: Any, first: set[str]) -> Any:
    if isinstance(value, dict):
        return {key: _sorted(value[key], first) for key in sorted(value, key=lambda key: (key not in first, key))}
    return [_sorted(part, first) for part in value] if isinstance(value, list) else value


def _is_all(constraint: Constraint, text: str) -> bool:
    matcher = _matcher(_bytes(), constraint)
    tokens = list(text.encode("utf-8", "surrogatepass"))
    return matcher.try_consume_tokens(tokens) == len(tokens) and matcher.is_accepting()


def _matcher(table: LLTokenizer, constraint: Constraint, before: str = "") -> LLMatcher:
    from llguidance import LLMatcher

    return LLMatcher(table, _grammar(constraint, before), log_level=0)


def _grammar(constraint: Constraint, before: str = "") -> str:
    """A shape as the library reads it; `before` is what a text of it may begin with besides."""
    from llguidance import LLMatcher

    shape: dict[str, Any]
    if constraint.kind == "schema":
        # White space is a place where a small model may stay for ever.
        strict = LLMatcher.grammar_from_json_schema(constraint.text, overrides={"whitespace_flexible": False})
        (shape,) = json.loads(strict)["grammars"]
    elif constraint.kind == "regex":
        (shape,) = json.loads(LLMatcher.grammar_from_regex(constraint.text))["grammars"]
    else:
        shape = {"lark_grammar": constraint.text}
    if not before:
        return json.dumps({"grammars": [shape]})
    return json.dumps({"grammars": [{"lark_grammar": f'start: "{before}"? @shape'}, shape | {"name": "shape"}]})


def _invalid(constraint: Constraint) -> str:
    """What the library has to say against a shape; nothing where it is in order."""
    from llguidance import LLMatcher

    try:
        return LLMatcher.validate_grammar(_grammar(constraint))
    except ValueError as error:  # of objects that are nested too deep
        return str(error)


@cache
def _bytes() -> LLTokenizer:
    """A vocabulary that every text can be written in: with a token for each byte."""
    from llguidance import LLTokenizer, TokenizerWrapper

    return LLTokenizer(TokenizerWrapper(_Bytes()))


class _Bytes:
    eos_token_id = _END
    bos_token_id = None
    tokens = [*(bytes([value]) for value in range(256)), b"<end>"]
    special_token_ids = [_END]

    def __call__(self, text: bytes) -> list[int]:
        return list(text)


def _place(schema: Mapping[str, Any], wrong: str) -> str:
    """Where in a schema something is wrong: at the deepest part that has the same wrong with it alone."""
    shared = {key: schema[key] for key in ("$defs", "definitions") if key in schema}
    same = [
        (pointer.count("/"), "$ref" not in part, pointer)
        for pointer, part in _parts(schema)
        if _invalid(Constraint("schema", json.dumps({**shared, **part}))) == wrong
    ]
    pointer = max(same, default=(0, True, ""))[2]
    return f"at {pointer}: " if pointer else ""


def _parts(value: Any, pointer: str = "") -> Iterator[tuple[str, Mapping[str, Any]]]:
    """All objects in a JSON value, each with its JSON pointer."""
    if isinstance(value, Mapping):
        yield pointer, value
        for key, part in value.items():
            yield from _parts(part, f"{pointer}/{key.replace('~', '~0').replace('/', '~1')}")
    elif isinstance(value, list):
        for number, part in enumerate(value):
            yield from _parts(part, f"{pointer}/{number}")


def _told(wrong: str, kind: str) -> str:
    """The library's message in one line: of those of regular expressions the reason, and where."""
    line, column = re.match(r"(?:at (?=\d+\())?(?:(\d+)\((\d+)\): )?", wrong).groups()  # type: ignore[union-attr]
    place = f"line {line}, column {column}: " if line and kind == "grammar" else ""
    reason = re.search(r"^error: (.+)", wrong, re.MULTILINE)
    if reason:
        mark = re.search(r"^ {4}( *)\^", wrong, re.MULTILINE)
        at = f"character {len(mark[1]) + 1}{'' if kind == 'regex' else ' of a regular expression'}: " if mark else ""
        return f"{place}{at}{reason[1]}"
    said = re.sub(r"^(?:at )?\d+\(\d+\): ", "", wrong).strip().partition("\n")[0].partition("; following")[0]
    return place + re.sub(r"^Unimplemented keys: \[(.*)\]$", r"nothing here can enforce \1", said)
