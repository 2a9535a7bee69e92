# SPDX-License-Identifier: Apache-2.0
"""The tokenizer of a checkpoint: the library is given its own files and settings, and never the checkpoint's folder."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from llava_cli.errors import LlavaError, ModelError, first_line
from llava_cli.models import files

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

_WHOLE = "tokenizer.json"
_PARTS = ("vocab.json", "merges.txt")
_SETTINGS = ("tokenizer_config.json", "special_tokens_map.json")
_NAMES = "added_tokens.json"
# Beside whatever is called a token. The library takes any other for an argument of its own: a file, an object.
_KEPT = frozenset((
    "added_tokens_decoder", "additional_special_tokens", "extra_special_tokens", "add_bos_token", "add_eos_token",
    "add_prefix_space", "clean_up_tokenization_spaces", "errors", "legacy", "model_max_length", "padding_side",
    "split_special_tokens", "truncation_side",
))  # fmt: skip
_MOST_GROWTH = 64
"""How many characters rewriting may make of one. SentencePiece's has 3 bytes for each space."""

_one_at_a_time = threading.Lock()


def load_tokenizer(folder: Path) -> PreTrainedTokenizerBase:
    """The tokenizer in a folder.

    Raises:
        ModelError: there is none, or it is damaged.
    """
    from transformers import PreTrainedTokenizerFast, Qwen2Tokenizer

    # The first class keeps the file's own pipeline, where the model-specific ones rebuild it and differ in spaces. Of
    # the families here only Qwen's tokenizers were ever released as a vocabulary and merges alone.
    found = {name: files.find(folder, name, most=files.LARGE) for name in (_WHOLE, *_PARTS)}
    if found[_WHOLE]:
        kind = PreTrainedTokenizerFast
    elif all(found[name] for name in _PARTS):
        kind = Qwen2Tokenizer
    else:
        raise ModelError(f"{folder}: has no tokenizer.json")
    settings = {name: _kept(files.read_json(folder, name)) for name in _SETTINGS}
    settings[_NAMES] = files.read_json(folder, _NAMES)
    with TemporaryDirectory(prefix="llava-") as clean, failures_told(f"{folder}: its tokenizer cannot be read"):
        for name, path in found.items():
            if path is not None:
                (Path(clean) / name).symlink_to(path)
        for name, said in settings.items():
            if said:
                (Path(clean) / name).write_text(json.dumps(said))
        tokenizer = kind.from_pretrained(clean, local_files_only=True)
        _check_growth(tokenizer, folder)
    return tokenizer


@contextmanager
def failures_told(what: str) -> Iterator[None]:
    """Have whatever a tokenizer does not like raised as a ModelError. It may panic, which is no Exception, and loud.

    Raises:
        ModelError: something went wrong; the message begins with `what`.
    """
    try:
        with _one_at_a_time, _silence():
            yield
    except LlavaError:
        raise
    except BaseException as error:
        if not isinstance(error, Exception) and type(error).__name__ != "PanicException":
            raise
        raise ModelError(f"{what}: {first_line(error)}") from error


@contextmanager
def _silence() -> Iterator[None]:
    """Keep stderr free of what native code has to say."""
    try:
        stderr = os.dup(2)
    except OSError:  # there is none
        yield
        return
    try:
        with Path(os.devnull).open("wb") as nowhere:
            os.dup2(nowhere.fileno(), 2)
        yield
    finally:
        os.dup2(stderr, 2)
        os.close(stderr)


def _kept(said: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in said.items() if key in _KEPT or key.endswith("_token")}


def _check_growth(tokenizer: PreTrainedTokenizerBase, folder: Path) -> None:
    """Refuse rules that rewrite a text into one so much longer that no memory holds it."""
    backend = tokenizer.backend_tokenizer
    for rules in (backend.normalizer, backend.decoder):
        if rules is not None and _growth(json.loads(rules.__getstate__())) > _MOST_GROWTH:
            raise ModelError(f"{folder}: its tokenizer makes texts many times longer: it is damaged, or hostile")


def _growth(rules: Mapping[str, Any]) -> int:
    """How many characters these rules may make of one."""
    growth = 1
    for key in ("normalizers", "decoders"):
        for rule in rules.get(key) or ():
            growth = min(growth * _growth(rule), _MOST_GROWTH + 1)
    new = rules.get("content", rules.get("prepend", ""))
    return max(growth, len(new) + 1 if rules.get("type") == "Prepend" else len(new)) if isinstance(new, str) else growth
