# SPDX-License-Identifier: Apache-2.0
"""The record's keys are a contract: scripts read them, ledgers keep them."""

from __future__ import annotations

import base64
import hashlib
import json
from dataclasses import replace

from answers import CLIP, MODEL, STILL, answered, completion

from llava_cli.answer import Answer, Prepared
from llava_cli.engine.memory import MemoryPlan
from llava_cli.engine.scores import ScoredChoice, ScoredToken
from llava_cli.engine.types import Generation, Query
from llava_cli.errors import InputError
from llava_cli.media.named import Excerpt
from llava_cli.models.messages import MediaPath, Message, ask
from llava_cli.models.prompt import Prompt
from llava_cli.record import SCHEMA_VERSION, answer_record, error_record, plan_record, plan_text, to_json
from llava_cli.request import FrameChoice, Request

ASKED = ["question", "system", "messages", "template_sha256", "choice", "fit", "raw", "generation"]


def test_an_answer_s_keys():
    record = json.loads(to_json(answered()))
    assert list(record) == [
        "schema_version", "id", "status", *ASKED, "answer", "finish_reason", "confidence", "model", "media", "usage",
        "timing", "warnings", "versions",
    ]  # fmt: skip
    assert (record["schema_version"], record["status"]) == (SCHEMA_VERSION, "ok")
    assert list(record["model"]) == [
        "checkpoint", "revision", "family", "dtype", "quantization", "device", "attention", "dummy", "rope_scaling",
        "template",
    ]  # fmt: skip
    assert list(record["media"][0]) == [
        "path", "kind", "width", "height", "duration", "codec", "rotation", "decoder", "sampling", "pixels",
        "frame_size", "frames", "visual_tokens", "warnings",
    ]  # fmt: skip
    assert record["media"][0]["frames"] == [{"index": 0, "time": 0.0}, {"index": 1, "time": 1.0}]
    assert list(record["generation"]) == ["max_new_tokens", "do_sample", "temperature", "top_p", "seed"]
    assert record["usage"] == {"prompt_tokens": 90, "visual_tokens": 78, "completion_tokens": 4}
    assert list(record["timing"]) == ["load_s", "decode_s", "encode_s", "first_token_s", "generate_s"]
    assert list(record["versions"]) == ["llava_cli", "transformers", "torch", "av"]


def test_how_sure_an_answer_is_is_told_in_six_digits():
    yes, no = (ScoredChoice(text, share, -0.123456789, 2) for text, share in (("yes", 0.87654321), ("no", 0.1234567)))
    record = answered(confidence=0.912345678, choices=(yes, no), asked={"choices": ("yes", "no")})
    assert record["confidence"] == 0.912346
    assert record["choices"] == [
        {"text": "yes", "probability": 0.876543, "logprob": -0.123457, "tokens": 2},
        {"text": "no", "probability": 0.123457, "logprob": -0.123457, "tokens": 2},
    ]
    assert record["normalize"] == "none"
    assert "answer_tokens" not in record


def test_tokens_are_told_with_the_likeliest_in_their_places():
    other = ScoredToken(7, " a", -1.5)
    record = answered(tokens=(ScoredToken(8, " the", -0.25, (other,)), ScoredToken(2, "</s>", -1e-9)))
    assert record["answer_tokens"] == [
        {"id": 8, "text": " the", "logprob": -0.25, "best": [{"id": 7, "text": " a", "logprob": -1.5}]},
        {"id": 2, "text": "</s>", "logprob": -1e-9},
    ]


def test_media_stand_in_the_order_the_user_named_them():
    record = answered()
    assert [m["kind"] for m in record["media"]] == ["video", "image"]
    assert [m["visual_tokens"] for m in record["media"]] == [8, 70]


def test_an_error_keeps_what_is_known():
    error, known = InputError("a.mp4: no such file"), {"checkpoint": "someone/tiny", "family": "llava-next-video"}
    asked = Request("What?", system="Be brief.").asked()
    record = json.loads(to_json(error_record(error, asked, ["a.mp4"], model=known)))
    assert list(record) == ["schema_version", "id", "status", *ASKED, "error", "model", "media", "versions"]
    assert record["system"] == "Be brief."
    assert record["model"]["checkpoint"] == "someone/tiny"
    assert record["model"]["dtype"] is None
    assert record["status"] == "error"
    assert record["error"] == {"code": "input", "message": "a.mp4: no such file"}
    assert record["media"] == [{"path": "a.mp4"}]


def test_the_record_of_a_conversation_holds_it():
    said = [Message("user", (MediaPath("video", "a\udcff.mp4", Excerpt(1.0, frames=4)), "Who?"), inline=True)]
    failed = error_record(InputError("no"), Request("Why?", history=said).asked(), [said[0].media[0]])
    medium = {"path": "a\\udcff.mp4", "path_b64": "Yf8ubXA0", "start": 1.0, "frames": 4}
    content = [{"type": "video", **medium}, {"type": "text", "text": "Who?"}]
    assert failed["messages"] == [{"role": "user", "content": content, "inline": True}]
    assert failed["media"] == [medium]
    assert failed["id"] != error_record(InputError("no"), Request("Why?").asked(), [said[0].media[0]])["id"]


def test_a_name_that_is_no_text_is_kept_to_the_byte():
    name = b"bad\xff\nname.mp4".decode("utf-8", "surrogateescape")
    line = to_json(error_record(InputError(f"{name}: no such file"), Request("What?").asked(), [name]))
    assert line.isascii()
    assert "\n" not in line
    media = json.loads(line)["media"][0]
    assert base64.b64decode(media["path_b64"]) == b"bad\xff\nname.mp4"
    assert media["path"] == "bad\\udcff\nname.mp4"


def test_the_id_names_what_was_asked_and_not_what_was_answered():
    assert answered()["id"] == answered(text="Something else.")["id"]
    assert answered()["id"] != answered("Why?")["id"]


PROMPT = Prompt([1, 5, 3, 3, 3, 5, 5, 9], (STILL, CLIP), (1, 2), 5, "<video> Why?", "user")


def told(prompt: Prompt | None = None, **asked: object) -> dict:
    answer = completion(template="user", ids=(7, 7, 2))
    return answer_record(Request("What?", **asked).asked(), [CLIP, STILL], answer, MODEL, 0.5, prompt=prompt)


def test_a_prompt_is_told_with_equal_ids_counted_where_it_is_wanted():
    record = told(prompt=PROMPT)
    assert record["prompt_text"] == "<video> Why?"
    assert record["prompt_ids"] == [[1, 1], [5, 1], [3, 3], [5, 2], [9, 1]]
    assert record["answer_ids"] == [7, 7, 2]
    assert not {"prompt_text", "prompt_ids", "answer_ids"} & told().keys()


def test_a_template_of_the_user_s_is_known_by_its_digest_and_is_another_record():
    record = told(template="{{ messages }}")
    assert record["model"]["template"] == "user"
    assert record["template_sha256"] == hashlib.sha256(b"{{ messages }}").hexdigest()
    assert len({record["id"], told()["id"], told(template="{{ messages }} ")["id"]}) == 3


def test_a_plan_always_tells_the_prompt_and_its_ids_where_they_are_wanted():
    for wanted in (False, True):
        asked = Request("What?").asked()
        record = plan_record(asked, PROMPT.media, PROMPT, MODEL, MemoryPlan(1, 1, 1, 1), (), wanted)
        assert record["prompt_text"] == "<video> Why?"
        assert ("prompt_ids" in record) == wanted
        assert plan_text(record).endswith("it reads:\n\n  <video> Why?\n")


EVERYTHING = {
    "history": (Message("user", ("Hello",)), Message("assistant", ("Hi",))),
    "system": "Be brief.",
    "choice": FrameChoice(start=1.0),
    "fit": True,
    "generation": Generation(8),
    "raw": True,
    "template": "{{ messages }}",
}


def test_the_id_is_of_everything_that_is_asked():
    ids = {answered(asked={key: value})["id"] for key, value in EVERYTHING.items()}
    assert len(ids | {answered()["id"]}) == len(EVERYTHING) + 1


def test_the_id_is_of_what_is_shown_and_of_who_answers(monkeypatch):
    """A file that was replaced is other work under the same name; so is another template, or a stretched context."""
    other = replace(CLIP, frames=CLIP.frames ^ 1)
    later = replace(CLIP, times=(0.5, 1.5))
    shown = [answered(clip=clip)["id"] for clip in (CLIP, other, later)]
    shown.append(answered(template="family")["id"])
    monkeypatch.setattr("answers.MODEL", replace(MODEL, rope_scaling="linear:2"))
    assert len({*shown, answered()["id"]}) == 5


def test_whatever_a_record_holds_its_line_is_json_in_utf_8():
    record = answered() | {"answer": "a\ud83d \U0001f600", "label": {"\udcff": ["\udc80"]}}
    read = json.loads(to_json(record))
    json.dumps(read, ensure_ascii=False).encode()
    assert read["answer"] == "a\\ud83d \U0001f600"
    assert read["label"] == {"\\udcff": ["\\udc80"]}


def test_a_server_is_told_and_only_its_name_for_itself_is_no_part_of_the_work(monkeypatch):
    there = replace(MODEL, dtype=None, device=None, endpoint="http://h/v1", server="vllm", sent="frames (PNG)")
    changes = [{}, {"server": "other"}, {"server": None}, {"endpoint": "http://g/v1"}, {"sent": "images (PNG)"}]
    ids = []
    for change in changes:
        monkeypatch.setattr("answers.MODEL", replace(there, **change))
        record = answered()
        ids.append(record["id"])
        assert record["model"]["endpoint"] == change.get("endpoint", "http://h/v1")
        assert record["model"].get("server") == change.get("server", "vllm")
    assert ids[0] == ids[1] == ids[2]
    assert len({*ids}) == 3


def test_what_there_is_to_say_of_an_answer_s_making_is_a_warning():
    done = completion(notes=("some frames were dropped",))
    prepared = Prepared(Request("What?", notes=("fewer frames",)), (STILL, CLIP), Query(ask("What?", [STILL, CLIP])), 0)
    assert Answer(prepared, done, MODEL).record()["warnings"] == ["fewer frames", "some frames were dropped"]
