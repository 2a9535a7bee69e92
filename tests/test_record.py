# SPDX-License-Identifier: Apache-2.0
"""The record's keys are a contract: scripts read them, ledgers keep them."""

from __future__ import annotations

import base64
import hashlib
import json

from answers import CLIP, MODEL, STILL, answered, completion

from llava_cli.engine.memory import MemoryPlan
from llava_cli.engine.types import Generation
from llava_cli.errors import InputError
from llava_cli.media.named import Excerpt
from llava_cli.models.messages import MediaPath, Message
from llava_cli.models.prompt import Prompt
from llava_cli.record import SCHEMA_VERSION, answer_record, error_record, plan_record, plan_text, to_json


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
        "path", "kind", "width", "height", "duration", "codec", "rotation", "decoder", "sampling", "frames",
        "visual_tokens", "warnings",
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


def test_the_record_of_a_conversation_holds_it():
    said = [Message("user", (MediaPath("video", "a\udcff.mp4", Excerpt(1.0, frames=4)), "Who?"), inline=True)]
    failed = error_record("Why?", [said[0].media[0]], InputError("no"), messages=said)
    medium = {"path": "a\\udcff.mp4", "path_b64": "Yf8ubXA0", "start": 1.0, "frames": 4}
    content = [{"type": "video", **medium}, {"type": "text", "text": "Who?"}]
    assert failed["messages"] == [{"role": "user", "content": content, "inline": True}]
    assert failed["media"] == [medium]
    assert list(failed)[3:5] == ["question", "messages"]
    assert failed["id"] != error_record("Why?", [said[0].media[0]], InputError("no"))["id"]


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


PROMPT = Prompt([1, 5, 3, 3, 3, 5, 5, 9], (STILL, CLIP), (1, 2), 5, "<video> Why?", "user")


def told(**settings: object) -> dict:
    answer = completion(template="user", ids=(7, 7, 2))
    return answer_record("What?", [CLIP, STILL], answer, MODEL, Generation(), 0.5, **settings)


def test_a_prompt_is_told_with_equal_ids_counted_where_it_is_wanted():
    record = told(prompt=PROMPT)
    assert record["prompt_text"] == "<video> Why?"
    assert record["prompt_ids"] == [[1, 1], [5, 1], [3, 3], [5, 2], [9, 1]]
    assert record["answer_ids"] == [7, 7, 2]
    assert not {"prompt_text", "prompt_ids", "answer_ids"} & told().keys()


def test_a_template_of_the_user_s_is_known_by_its_digest_and_is_another_record():
    record = told(template="{{ messages }}")
    assert record["model"]["template"] == "user"
    assert record["model"]["template_sha256"] == hashlib.sha256(b"{{ messages }}").hexdigest()
    assert len({record["id"], told()["id"], told(template="{{ messages }} ")["id"]}) == 3


def test_a_plan_always_tells_the_prompt_and_its_ids_where_they_are_wanted():
    for wanted in (False, True):
        record = plan_record(
            "What?", PROMPT.media, PROMPT, MODEL, Generation(), MemoryPlan(1, 1, 1, 1), (), prompt_ids=wanted
        )
        assert record["prompt_text"] == "<video> Why?"
        assert ("prompt_ids" in record) == wanted
        assert plan_text(record).endswith("it reads:\n\n  <video> Why?\n")
