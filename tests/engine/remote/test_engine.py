# SPDX-License-Identifier: Apache-2.0
"""A server as an engine: the session's road with nothing else changed, against a server with faults.

tests/cli/test_endpoint_options.py asks a server that nobody here wrote.
"""

from __future__ import annotations

import base64
import io
import logging
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from engine.remote import fault_server as faults
from engine.remote.fault_server import TOKENS, Server
from pictures import clip, still
from PIL import Image

import llava_cli as llava
from llava_cli.engine.remote.endpoint import Endpoint
from llava_cli.engine.remote.engine import RemoteEngine, RemoteLoader
from llava_cli.engine.shape import read_constraint, request_fields
from llava_cli.engine.types import Completion, Generation, Query, SomeFailed, Unreachable
from llava_cli.errors import InputError, ModelError, UsageError
from llava_cli.models.messages import ask
from llava_cli.models.served import Served, open_served

Connect = Callable[..., RemoteEngine]
QUESTION = "How many pictures?"
"""With the template, 8 tokens."""


@pytest.fixture
def connect(server: Server):
    loaders: list[RemoteLoader] = []

    def connected(served: Served | None = None, **settings: Any) -> RemoteEngine:
        loaders.append(RemoteLoader(served or Served("tiny"), Endpoint(server.url, **{"retries": 1, **settings})))
        return loaders[-1].load()

    yield connected
    for loader in loaders:
        loader.close()


def query(*media: Any, question: str = QUESTION, **generation: Any) -> Query:
    return Query(ask(question, media), Generation(**{"max_new_tokens": 50, **generation}))


def streamed(engine: RemoteEngine, one: Query, stop: Callable[[], bool] | None = None) -> tuple[list[str], Completion]:
    pieces, stream = [], engine.stream(one, stop=stop)
    while True:
        try:
            pieces.append(next(stream))
        except StopIteration as end:
            return pieces, end.value


def test_an_answer_and_what_it_was_shown(connect: Connect, server: Server) -> None:
    engine, shown = connect(), clip(8, 8, 6)
    (answer,) = engine.answer([query(shown)])
    assert (answer.text, answer.finish_reason, answer.template) == ("8 pictures", "stop", "server")
    assert (answer.media, answer.visual_tokens) == ((shown,), (8 * TOKENS,))
    assert (answer.prompt_tokens, answer.completion_tokens) == (8 + 8 * TOKENS, 2)
    assert answer.notes == ()
    assert answer.timing.generate_s > 0
    pieces, again = streamed(engine, query(shown))
    assert pieces == ["8 ", "pictures"]
    assert (again.text, again.visual_tokens) == (answer.text, answer.visual_tokens)
    assert again.timing.first_token_s > 0
    assert engine.info.server == "vllm, faulty/1.0"


def test_generation_is_passed_on_and_greedy_is_asked_for(connect: Connect, server: Server) -> None:
    engine = connect()
    engine.answer([query(max_new_tokens=7)])
    engine.answer([query(temperature=0.5, top_p=0.9, seed=3)])
    greedy, sampled = server.asked
    assert {key: greedy.get(key) for key in ("max_tokens", "temperature", "top_p", "seed")} == {
        "max_tokens": 7, "temperature": 0, "top_p": None, "seed": None,
    }  # fmt: skip
    assert (sampled["temperature"], sampled["top_p"], sampled["seed"]) == (0.5, 0.9, 3)


@pytest.mark.parametrize(
    ("shape", "field"), [({"schema": "dog bool"}, "response_format"), ({"regex": "yes|no"}, "structured_outputs")]
)
def test_the_shape_of_an_answer_is_asked_of_the_server(connect: Connect, server: Server, shape, field) -> None:
    constraint = read_constraint(**shape)
    connect().answer([replace(query(), constraint=constraint)])
    (asked,) = server.asked
    assert {field: asked[field]} == request_fields(constraint)


def test_how_videos_go_is_found_out_once_and_said(connect: Connect, server: Server, caplog) -> None:
    caplog.set_level(logging.INFO, "llava_cli")
    for sees, rejects, way in (
        ({"image", "video"}, {}, "frames"),
        ({"image"}, {}, "images"),
        ({"image", "video"}, {"video": 400}, "images"),
        ({"image", "video"}, {"video": 500}, "images"),
    ):
        server.sees, server.rejects = sees, rejects
        server.asked.clear()
        caplog.clear()
        engine = connect(retries=0)
        for _ in range(2):
            (answer,) = engine.answer([query(clip(4, 8, 6))])
            assert answer.text == "4 pictures"
        kinds = {part["type"] for body in server.asked for part in body["messages"][0]["content"]}
        assert kinds == {"text", "video_url" if way == "frames" else "image_url"}
        assert caplog.messages == [f"{server.url}: videos are sent as {way} (PNG)"]
        assert engine.info.sent == f"{way} (PNG)"


def test_a_server_that_is_busy_is_not_taken_for_one_that_takes_no_frames(connect: Connect, server: Server) -> None:
    server.rejects = {"video": 429}
    with pytest.raises(ModelError, match="is busy"):
        connect(retries=0).answer([query(clip(4, 8, 6))])
    server.rejects = {}
    assert connect().answer([query(clip(4, 8, 6))])[0].text == "4 pictures"
    assert "video_url" in str(server.asked[-1])


def test_a_server_that_sees_nothing_is_told_before_a_word_is(connect: Connect, server: Server) -> None:
    server.sees = set()
    for shown in (clip(4, 8, 6), clip(1, 8, 6), still(9, 7)):
        pieces: list[str] = []
        with pytest.raises(ModelError) as raised:
            pieces += connect().stream(query(shown))
        assert pieces == server.asked == []
        assert raised.value.code in ("unseen", "refused")
    with pytest.raises(ModelError, match=r"takes no video; as frames: .*; as images: .*; --send file sends"):
        connect().answer([query(clip(4, 8, 6))])


def test_media_that_are_dropped_are_an_error_however_they_were_before(connect: Connect, server: Server) -> None:
    engine = connect()
    engine.answer([query(clip(4, 8, 6))])
    server.sees = set()
    for answered in (lambda: engine.answer([query(clip(4, 8, 6))]), lambda: streamed(engine, query(clip(4, 8, 6)))):
        with pytest.raises(ModelError, match=r"the server has dropped the media: .* so the answer is about nothing"):
            answered()
    with pytest.raises(ModelError, match="dropped the media"):
        engine.answer([query(still(9, 7))])


def test_all_frames_are_said_to_count_with_their_places(connect: Connect, server: Server) -> None:
    (answer,) = connect().answer([query(clip(40, 8, 6))])
    assert (answer.text, answer.notes) == ("40 pictures", ())
    said = server.asked[0]["media_io_kwargs"]["video"]
    assert (said["num_frames"], said["frames_indices"], said["fps"]) == (-1, list(range(40)), 1.0)


def test_frames_that_are_cut_off_are_told(connect: Connect, server: Server) -> None:
    """As vLLM does, unless it was started with --trust-request-mm-kwargs."""
    server.rejects = {"media_io_kwargs": 400}
    engine = connect()
    for answer in (engine.answer([query(clip(40, 8, 6))])[0], streamed(engine, query(clip(40, 8, 6)))[1]):
        assert (answer.text, answer.visual_tokens) == ("32 pictures", (32 * TOKENS,))
        (note,) = answer.notes
        assert "counts 512 visual tokens where the pictures sent take 640" in note
    assert all("media_io_kwargs" not in body for body in server.asked)
    assert engine.answer([query(clip(32, 8, 6))])[0].notes == ()


def test_a_picture_of_several_that_is_dropped_is_told(connect: Connect, server: Server) -> None:
    server.most_pictures = 2
    (answer,) = connect().answer([query(still(9, 7), still(8, 8), still(7, 9))])
    assert sum(answer.visual_tokens) == 2 * TOKENS
    assert "has dropped some of them" in answer.notes[0]


def test_a_list_of_single_stills_costs_a_probe_for_its_question_only(connect: Connect, server: Server) -> None:
    answers = connect().answer([query(still(9 + number, 7)) for number in range(10)])
    assert [answer.visual_tokens for answer in answers] == [(TOKENS,)] * 10
    assert (len(server.asked), len(server.probes)) == (10, 1)


def test_so_many_at_once_and_not_more(connect: Connect, server: Server) -> None:
    engine = connect(concurrency=3)
    server.faults = [lambda handler: (time.sleep(0.3), handler.answer())] * 9
    assert len(engine.answer([query() for _ in range(9)])) == 9
    assert server.most_at_once == 3


def test_one_that_is_refused_costs_no_other(connect: Connect, server: Server) -> None:
    server.faults = [faults.busy, lambda handler: handler.say({"detail": "bad words"}, 400), faults.html]
    with pytest.raises(SomeFailed, match=r"^2 of 5 questions failed, e\.g\.: ") as raised:
        connect().answer([query(question=f"{number}?") for number in range(5)])
    outcomes = raised.value.outcomes
    failures = sorted(str(one).partition("/v1: ")[2] for one in outcomes if isinstance(one, ModelError))
    assert failures[0].startswith("refuses the request (HTTP 400): bad words")
    assert failures[1] == "what it says is no answer to a question"
    assert [one.text for one in outcomes if isinstance(one, Completion)] == ["0 pictures"] * 3


def test_one_alone_raises_its_own_error(connect: Connect, server: Server) -> None:
    server.faults = [faults.html]
    with pytest.raises(ModelError, match="no answer"):
        connect().answer([query()])


def test_stopping_cancels_the_request_though_the_server_says_nothing(connect: Connect, server: Server) -> None:
    engine = connect()
    server.faults = [faults.drips_events]
    began = time.monotonic()
    pieces, answer = streamed(engine, query(), lambda: time.monotonic() - began > 0.3)
    assert (pieces, answer.text, answer.finish_reason) == ([], "", "interrupted")
    assert server.given_up.wait(5)
    server.piece_s = 0.05
    said: list[str] = []
    stream = engine.stream(query())
    said.append(next(stream))
    stream.close()
    assert said == ["0 "]


def test_the_model_goes_by_the_name_that_the_server_has_for_it(connect: Connect, server: Server) -> None:
    server.models = [{"id": "next-video-7b"}]
    engine = connect(open_served("next-video-7b"))
    assert engine.answer([query()])[0].text == "0 pictures"
    assert server.asked[-1]["model"] == "next-video-7b"
    assert engine.info.checkpoint == "llava-hf/LLaVA-NeXT-Video-7B-hf"
    server.models = [{"id": "one"}, {"id": "other"}]
    for asked in (query(), query(clip(2, 8, 6)), query(still(9, 7))):
        with pytest.raises(ModelError, match=r"/v1: has no model llava-hf/LLaVA-NeXT-Video-7B-hf; it has one, other$"):
            connect(open_served("next-video-7b")).answer([asked])


def test_vllm_is_asked_for_the_first_token_where_the_family_is_known(connect: Connect, server: Server) -> None:
    hub_id = "llava-hf/LLaVA-NeXT-Video-7B-hf"
    for owner, name, expected in (("vllm", hub_id, True), ("sglang", hub_id, None), ("vllm", "tiny", None)):
        server.models = [{"id": name, "owned_by": owner}]
        connect(open_served(name)).answer([query(clip(2, 8, 6))])
        assert server.asked[-1].get("add_special_tokens") == expected
        assert server.probes[-1].get("add_special_tokens") == expected


def test_what_a_family_is_told_of_its_media_is_told_by_us(connect: Connect, server: Server) -> None:
    (answer,) = connect(Served("tiny", like=open_served("llava-video-7b").like)).answer([query(clip(4, 8, 6))])
    assert "The video lasts for" in str(server.asked[-1]["messages"])
    assert answer.visual_tokens == (4 * TOKENS,)


def test_tokens_are_of_their_media_where_a_family_has_an_order_of_its_own(connect: Connect) -> None:
    moving, standing = clip(4, 8, 6), still(9, 7)
    served = Served("tiny", like=open_served("llava-video-7b").like)
    (answer,) = connect(served).answer([query(moving, standing)])
    assert dict(zip(map(id, answer.media), answer.visual_tokens, strict=True)) == {
        id(moving): 4 * TOKENS, id(standing): TOKENS,
    }  # fmt: skip


def test_a_file_and_that_its_frames_are_not_ours(connect: Connect, server: Server, tmp_path: Path) -> None:
    path = tmp_path / "clip.mp4"
    path.write_bytes(b"some video")
    shown = clip(4, 8, 6)
    shown = replace(shown, info=replace(shown.info, path=str(path)))
    (answer,) = connect(send="file").answer([query(shown)])
    assert answer.text == "3 pictures"
    assert answer.visual_tokens == (3 * TOKENS,)
    assert answer.notes[0].startswith("--send file: the server has chosen the frames that it shows")
    data = server.asked[0]["messages"][0]["content"][0]["video_url"]["url"].partition("base64,")[2]
    assert base64.b64decode(data) == b"some video"


def test_nobody_there_is_told_when_it_is_loaded() -> None:
    with pytest.raises(Unreachable, match="cannot be reached"):
        RemoteLoader(Served("tiny"), Endpoint("http://127.0.0.1:9/v1", retries=0)).load()


def test_a_missing_library_is_told_with_what_brings_it(server: Server, monkeypatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "openai", None)
    with pytest.raises(UsageError, match=r"pip install 'llava-cli\[endpoint\]'"):
        RemoteLoader(Served("tiny"), Endpoint(server.url)).load()


def test_python_users_connect(server: Server, rendered) -> None:
    with llava.connect(server.url, "tiny", concurrency=2, retries=0) as model:
        answer = model.ask(QUESTION, rendered("h264"), frames=3)
        assert (answer.text, answer.visual_tokens) == ("3 pictures", 3 * TOKENS)
        assert model.info.endpoint == server.url
        assert list(model.stream(QUESTION, rendered("h264"), frames=3)) == ["3 ", "pictures"]
        with model.chat(rendered("h264"), frames=2) as chat:
            assert chat.ask(QUESTION).text == chat.ask("And now?").text == "2 pictures"
        roles = [message["role"] for message in server.asked[-1]["messages"]]
        assert roles == ["user", "assistant", "user"]
        jobs = [{"media": rendered("h264"), "question": f"{n}?", "id": n, "raw": n == 2} for n in range(4)]
        found = {result.job.id: result.record() for result in model.map(jobs, frames=2)}
        assert [found[n]["status"] for n in range(4)] == ["ok", "ok", "error", "ok"]
        assert found[2]["error"]["message"].startswith("--raw cannot be used with an endpoint")
        for option in ({"raw": True}, {"template": "{{ x }}"}, {"prompt_ids": True}, {"fit": True}):
            with pytest.raises(UsageError, match="cannot be used with an endpoint"):
                model.ask("<video>", rendered("h264"), **option)
            with pytest.raises(UsageError):
                next(model.map(jobs, **option))
        with pytest.raises(InputError):
            model.ask(QUESTION, "none.mp4")


def test_frames_reach_the_server_to_the_byte(server: Server, rendered) -> None:
    with llava.connect(server.url, "tiny", family="interleave-0.5b") as model:
        answer = model.ask(QUESTION, rendered("h264"))
    assert answer.media[0].frames.shape == (8, 384, 384, 3)
    data = server.asked[-1]["messages"][0]["content"][0]["video_url"]["url"].partition(",")[2].split(",")
    shown = [np.asarray(Image.open(io.BytesIO(base64.b64decode(piece)))) for piece in data]
    np.testing.assert_array_equal(shown, answer.media[0].frames)
