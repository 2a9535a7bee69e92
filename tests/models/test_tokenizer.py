# SPDX-License-Identifier: Apache-2.0
"""Tokenizers are those that transformers makes of the folder; but nothing else in it has a say, and panics are told."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tiny.tokenizers import llama_tokenizer, qwen_tokenizer
from transformers import PreTrainedTokenizerFast

from llava_cli.errors import ModelError
from llava_cli.models.checkpoint import open_checkpoint
from llava_cli.models.tokenizer import failures_told, load_tokenizer

TEXTS = ["", "Why is this?", "<s>USER: <video>\nÜber 日本 </s>", " a  b\n", "<|im_start|>user\n<image><|im_end|>"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    llama_tokenizer().save_pretrained(tmp_path)
    return tmp_path


def changed(file: Path, change: Callable[[dict[str, Any]], object]) -> None:
    content = json.loads(file.read_text()) if file.exists() else {}
    change(content)
    file.write_text(json.dumps(content))


@pytest.mark.parametrize("make", [llama_tokenizer, qwen_tokenizer])
def test_it_is_what_transformers_makes_of_the_folder(tmp_path, make):
    make().save_pretrained(tmp_path)
    changed(tmp_path / "tokenizer_config.json", lambda c: c.update(additional_special_tokens=["<extra>"]))
    changed(tmp_path / "special_tokens_map.json", lambda c: c.update(pad_token={"content": "<pad>", "lstrip": True}))
    changed(tmp_path / "added_tokens.json", lambda c: c.update({"<added>": 9999}))
    own, theirs = load_tokenizer(tmp_path), PreTrainedTokenizerFast.from_pretrained(tmp_path)
    assert own.special_tokens_map == theirs.special_tokens_map
    assert own.get_added_vocab() == theirs.get_added_vocab()
    assert own.get_vocab() == theirs.get_vocab()
    for text in TEXTS:
        for special in (True, False):
            options = {"add_special_tokens": special, "split_special_tokens": special}
            assert own(text, **options).input_ids == theirs(text, **options).input_ids
    assert own.decode(own(TEXTS[2]).input_ids) == theirs.decode(own(TEXTS[2]).input_ids)


def test_the_demo_s_and_every_setting_of_it():
    folder = open_checkpoint("demo").folder
    own, theirs = load_tokenizer(folder), PreTrainedTokenizerFast.from_pretrained(folder)
    assert own.get_vocab() == theirs.get_vocab()
    assert own.special_tokens_map == theirs.special_tokens_map
    assert own("red circle").input_ids == theirs("red circle").input_ids


@pytest.mark.parametrize("name", ["tokenizer_config.json", "special_tokens_map.json"])
@pytest.mark.parametrize(
    "said",
    [
        {"tokenizer_object": "x"}, {"gguf_file": "evil.gguf"}, {"tokenizer_file": "/etc/passwd"},
        {"fast_tokenizer_files": ["tokenizer.0.0.1.json"]}, {"auto_map": {"AutoTokenizer": ["x.py", None]}},
        {"init_inputs": ["a", "b"]}, {"vocab_file": "/etc/passwd"}, {"backend": "x"}, {"subfolder": ".."},
        {"trust_remote_code": True}, {"chat_template": "{{ 1 }}"}, {"tokenizer_class": "Evil"},
    ],
)  # fmt: skip
def test_settings_that_are_none_of_a_tokenizer_s_have_no_say(folder, name, said):
    expected = load_tokenizer(folder)(TEXTS[2]).input_ids
    (folder / "tokenizer.0.0.1.json").write_text("{}")
    changed(folder / name, lambda content: content.update(said))
    tokenizer = load_tokenizer(folder)
    assert tokenizer(TEXTS[2]).input_ids == expected
    assert tokenizer.chat_template is None


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("tokenizer.json", b"{}"),
        ("tokenizer.json", b"[" * 100_000),
        ("tokenizer.json", b"\xff"),
        ("tokenizer_config.json", b"[]"),
        ("tokenizer_config.json", b'{"bos_token": {"content": 7}}'),
        ("tokenizer_config.json", b'{"added_tokens_decoder": {"x": 1}}'),
        ("tokenizer_config.json", b'{"pad_token": ' + b"[" * 500 + b"]" * 500 + b"}"),
        ("special_tokens_map.json", b'{"bos_token": '),
        ("added_tokens.json", b'{"a": NaN}'),
    ],
)
def test_a_damaged_file_is_one_line(folder, name, content):
    (folder / "tokenizer_config.json").unlink()  # which would hide those of old
    (folder / name).write_bytes(content)
    with pytest.raises(ModelError, match=r"^[^\n]+$"):
        load_tokenizer(folder)


def test_without_a_tokenizer_that_is_told(tmp_path):
    (tmp_path / "vocab.json").write_text("{}")
    with pytest.raises(ModelError, match=r"has no tokenizer\.json"):
        load_tokenizer(tmp_path)


def test_a_tokenizer_elsewhere_is_not_read(folder, tmp_path_factory):
    elsewhere = tmp_path_factory.mktemp("elsewhere") / "tokenizer.json"
    shutil.move(folder / "tokenizer.json", elsewhere)
    (folder / "tokenizer.json").symlink_to(elsewhere)
    with pytest.raises(ModelError, match="leads out of the checkpoint's folder"):
        load_tokenizer(folder)


SLOW = {"type": "Split", "pattern": {"Regex": "(a+)+$"}, "behavior": "Isolated", "invert": False}


def test_a_panic_is_an_error_and_says_nothing_itself(folder, capfd):
    """It is no Exception, and Rust writes a page to stderr."""
    changed(folder / "tokenizer.json", lambda content: content.update(pre_tokenizer=SLOW, normalizer=None))
    tokenizer = load_tokenizer(folder)
    with pytest.raises(ModelError, match=r"^it fails: [^\n]*retry-limit"), failures_told("it fails"):
        tokenizer("a" * 40 + "b")
    assert capfd.readouterr().err == ""


def test_what_ends_the_program_is_no_failure_of_a_tokenizer():
    with pytest.raises(KeyboardInterrupt), failures_told("it fails"):
        raise KeyboardInterrupt


def test_rules_that_make_texts_longer_without_end_are_refused(folder):
    double = {"type": "Replace", "pattern": {"String": "a"}, "content": "aa"}
    for rules in ({"type": "Sequence", "normalizers": [double] * 40}, double | {"content": "a" * 100}):
        changed(folder / "tokenizer.json", lambda content, rules=rules: content.update(normalizer=rules))
        with pytest.raises(ModelError, match="makes texts many times longer"):
            load_tokenizer(folder)
