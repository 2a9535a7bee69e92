# SPDX-License-Identifier: Apache-2.0
"""The record's keys are a contract: scripts read them, ledgers keep them."""

from __future__ import annotations

import base64
import json

from answers import answered

from llava_cli.engine.types import Generation
from llava_cli.errors import InputError
from llava_cli.record import SCHEMA_VERSION, error_record, to_json


def test_an_answer_s_keys():
    record = json.loads(to_json(answered()))
    assert list(record) == [
        "schema_version", "id", "status", "question", "answer", "finish_reason", "model", "media", "generation",
        "usage", "timing", "warnings", "versions",
    ]  # fmt: skip
    assert (record["schema_version"], record["status"]) == (SCHEMA_VERSION, "ok")
    assert list(record["model"]) == [
        "checkpoint", "revision", "family", "dtype", "quantization", "device", "attention", "dummy", "template",
    ]  # fmt: skip
    assert list(record["media"][0]) == [
        "path", "kind", "width", "height", "duration", "codec", "rotation", "decoder", "sampling", "pixels",
        "frames", "visual_tokens", "warnings",
    ]  # fmt: skip
    assert record["media"][0]["frames"] == [{"index": 0, "time": 0.0}, {"index": 1, "time": 1.0}]
    assert list(record["generation"]) == ["max_new_tokens", "do_sample", "temperature", "top_p", "seed"]
    assert record["usage"] == {"prompt_tokens": 90, "visual_tokens": 78, "completion_tokens": 4}
    assert list(record["timing"]) == ["load_s", "decode_s", "encode_s", "first_token_s", "generate_s"]
    assert list(record["versions"]) == ["llava_cli", "transformers", "torch", "av"]


def test_media_stand_in_the_order_the_user_named_them():
    record = answered()
    assert [m["kind"] for m in record["media"]] == ["video", "image"]
    assert [m["visual_tokens"] for m in record["media"]] == [8, 70]


def test_an_error_keeps_what_is_known():
    record = json.loads(to_json(error_record("What?", ["a.mp4"], InputError("a.mp4: no such file"), Generation())))
    assert list(record) == [
        "schema_version", "id", "status", "question", "error", "model", "media", "generation", "versions",
    ]  # fmt: skip
    assert record["status"] == "error"
    assert record["error"] == {"code": "input", "message": "a.mp4: no such file"}
    assert record["media"] == [{"path": "a.mp4"}]


def test_a_name_that_is_no_text_is_kept_to_the_byte():
    name = b"bad\xff\nname.mp4".decode("utf-8", "surrogateescape")
    line = to_json(error_record("What?", [name], InputError(f"{name}: no such file")))
    assert line.isascii()
    assert "\n" not in line
    media = json.loads(line)["media"][0]
    assert base64.b64decode(media["path_b64"]) == b"bad\xff\nname.mp4"
    assert media["path"] == "bad\\udcff\nname.mp4"


def test_the_id_names_what_was_asked_and_not_what_was_answered():
    assert answered()["id"] == answered(text="Something else.")["id"]
    assert answered()["id"] != answered("Why?")["id"]
