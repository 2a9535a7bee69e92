# SPDX-License-Identifier: Apache-2.0
"""Requests: what is tried again, what is given up, and that nothing but an answer is taken for one."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from engine.remote import fault_server as faults
from engine.remote.fault_server import Server

from llava_cli.engine.remote.background import Background
from llava_cli.engine.remote.client import Client
from llava_cli.engine.remote.endpoint import Endpoint
from llava_cli.engine.remote.replies import Refused, Reply, ServerError
from llava_cli.engine.types import Unreachable
from llava_cli.errors import ExitCode, ModelError, UsageError

BODY = {"model": "tiny", "messages": [{"role": "user", "content": "How many?"}], "max_tokens": 100}
Ask = Callable[..., Reply]


@pytest.fixture
def background() -> Iterator[Background]:
    beside = Background()
    yield beside
    beside.close()


@pytest.fixture
def ask(server: Server, background: Background) -> Iterator[Ask]:
    """Ask the server; the words told are kept."""
    clients: list[Client] = []

    def asked(told: list[str] | None = None, optional: dict | None = None, **settings: object) -> Reply:
        clients.append(Client(Endpoint(server.url, **{"retries": 2, **settings})))
        tell = None if told is None else told.append
        return background.run(clients[-1].complete(BODY, optional, tell))

    yield asked
    for client in clients:
        background.run(client.close())


def test_an_answer_all_at_once_and_in_pieces(ask: Ask, server: Server) -> None:
    told: list[str] = []
    for reply in (ask(), ask(told, {"stream_options": {"include_usage": True}})):
        assert (reply.text, reply.finish_reason) == ("0 pictures", "stop")
        assert (reply.prompt_tokens, reply.completion_tokens) == (7, 2)
        assert reply.total_s > 0
    assert told == ["0 ", "pictures"]
    assert server.asked[0].items() >= {"model": "tiny", "max_tokens": 100}.items()


@pytest.mark.parametrize("fault", [faults.busy, faults.fails, faults.hangs_up])
@pytest.mark.parametrize("streamed", [False, True])
def test_what_may_go_better_is_tried_again(ask: Ask, server: Server, fault, streamed) -> None:
    server.faults = [fault, fault]
    told: list[str] | None = [] if streamed else None
    assert ask(told, {"stream_options": {"include_usage": True}}).text == "0 pictures"
    assert len(server.asked) == 3


@pytest.mark.parametrize(
    ("fault", "message"), [(faults.busy, "is busy \\(HTTP 429\\): too many requests"), (faults.fails, "fails .* oops"),
                           (faults.hangs_up, "the connection broke: Server disconnected")],
)  # fmt: skip
def test_not_for_ever(ask: Ask, server: Server, fault, message) -> None:
    server.faults = [fault] * 9
    with pytest.raises(ServerError, match=f"^{server.url}: {message}"):
        ask(retries=1)
    assert len(server.asked) == 2


def test_a_stream_that_breaks_off_before_its_first_word_is_tried_again(ask: Ask, server: Server) -> None:
    server.faults = [faults.cut_before]
    told: list[str] = []
    assert ask(told, {"stream_options": {"include_usage": True}}).text == "".join(told) == "0 pictures"
    assert len(server.asked) == 2


def test_one_that_breaks_off_later_is_an_error_and_nothing_is_told_twice(ask: Ask, server: Server) -> None:
    server.faults = [faults.cut]
    told: list[str] = []
    with pytest.raises(ServerError, match="the answer broke off: the connection was closed before its end"):
        ask(told)
    assert told == ["1 "]
    assert len(server.asked) == 1


@pytest.mark.parametrize("fault", [faults.drips, faults.drips_events])
def test_an_answer_that_never_comes_has_an_end(ask: Ask, server: Server, fault) -> None:
    server.faults = [fault]
    with pytest.raises(ServerError, match=r"no whole answer within 0\.3 seconds; --endpoint-timeout allows more"):
        ask([] if fault is faults.drips_events else None, timeout_s=0.3)
    assert server.given_up.wait(5)


NO_STREAM = "its answer is no stream but "
NO_ANSWER = "what it says is no answer"


@pytest.mark.parametrize(
    ("fault", "whole", "streamed"),
    [
        (faults.html, NO_ANSWER, f"{NO_STREAM}text/html"),
        (faults.plain, NO_ANSWER, f"{NO_STREAM}text/plain"),
        (faults.long_line, "its answer is longer than 100 tokens can be", None),
        (faults.endless, "its answer is larger than 64 MiB", None),
        (faults.unfinished, "the answer was not finished: finish_reason is content_filter", NO_STREAM),
        (faults.wordless, NO_ANSWER, NO_STREAM),
        (faults.no_choices, NO_ANSWER, NO_STREAM),
        (faults.no_json, NO_ANSWER, NO_STREAM),
        (faults.other_json, NO_ANSWER, NO_STREAM),
    ],
)
@pytest.mark.parametrize("in_pieces", [False, True])
def test_nonsense_is_no_answer(ask: Ask, server: Server, fault, whole, streamed, in_pieces) -> None:
    server.faults = [fault] * 3
    told: list[str] = []
    with pytest.raises(ServerError) as raised:
        ask(told if in_pieces else None, retries=0)
    message = str(raised.value)
    assert message.startswith(f"{server.url}: {streamed or whole if in_pieces else whole}")
    assert "\n" not in message
    assert len(message) < 500
    assert raised.value.exit_code == ExitCode.MODEL
    assert told == []


@pytest.mark.parametrize(
    "usage",
    [None, {}, {"prompt_tokens": -3, "completion_tokens": 1}, {"prompt_tokens": "many", "completion_tokens": 1},
     {"prompt_tokens": 1 << 40, "completion_tokens": 1}, {"prompt_tokens": 5, "completion_tokens": None},
     {"prompt_tokens": True, "completion_tokens": 1}],
)  # fmt: skip
@pytest.mark.parametrize("streamed", [False, True])
def test_an_answer_whose_tokens_are_not_told_is_none(ask: Ask, server: Server, usage, streamed) -> None:
    server.usage = lambda _: usage
    with pytest.raises(ServerError, match=r"does not say how many tokens the prompt had"):
        ask([] if streamed else None, {"stream_options": {"include_usage": True}})


def test_nobody_there(background: Background) -> None:
    client = Client(Endpoint("http://127.0.0.1:9/v1", retries=0))
    for work in (client.complete(BODY), client.models()):
        with pytest.raises(Unreachable, match=r"^http://127\.0\.0\.1:9/v1: cannot be reached: ") as raised:
            background.run(work)
        assert raised.value.exit_code == ExitCode.MODEL
    background.run(client.close())


def test_fields_that_a_server_does_not_know_are_left_out_from_then_on(server: Server, background: Background) -> None:
    server.rejects = {"seconds": 422}
    client = Client(Endpoint(server.url))
    for _ in range(2):
        assert background.run(client.complete(BODY, {"first": 1, "seconds": 2})).text == "0 pictures"
    assert ["seconds" in body for body in server.asked] == [True, False, False]
    assert all("first" in body for body in server.asked)
    background.run(client.close())


def test_a_request_that_is_refused_in_any_case_keeps_its_fields(server: Server, background: Background) -> None:
    server.faults = [lambda handler: handler.say({"detail": "too long"}, 400)] * 2
    client = Client(Endpoint(server.url))
    with pytest.raises(Refused, match=r"refuses the request \(HTTP 400\): too long"):
        background.run(client.complete(BODY, {"first": 1}))
    background.run(client.complete(BODY, {"first": 1}))
    assert "first" in server.asked[-1]
    background.run(client.close())


def test_a_question_is_not_sent_on_to_somebody_else(ask: Ask, server: Server) -> None:
    server.faults = [faults.moved]
    with pytest.raises(ModelError, match="HTTP 307"):
        ask()


def test_the_key_goes_into_the_header_and_nowhere_else(ask: Ask, server: Server, monkeypatch, caplog) -> None:
    caplog.set_level("DEBUG")
    monkeypatch.setenv("OPENAI_API_KEY", "sk-very-secret\n")
    ask()
    assert server.headers[-1]["authorization"] == "Bearer sk-very-secret"
    server.faults = [faults.repeats_key]
    with pytest.raises(Refused, match=r"HTTP 401.*provided: \*\*\*; OPENAI_API_KEY holds the key") as raised:
        ask()
    assert "sk-very-secret" not in str(raised.value) + caplog.text


@pytest.mark.parametrize("key", ["sk\nHost: x", "schlüssel", "a b"])
def test_a_key_that_is_none_is_told_without_it(server: Server, monkeypatch, key) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", key)
    with pytest.raises(UsageError, match=r"^OPENAI_API_KEY holds characters that no key has$"):
        Client(Endpoint(server.url))


@pytest.mark.parametrize("models", [404, 500, [], [{"id": 3}], [None], "x"])
def test_a_server_that_lists_no_models_may_have_some(server: Server, background: Background, models) -> None:
    server.models = models
    client = Client(Endpoint(server.url, retries=0))
    assert background.run(client.models()) == {}
    assert client.server == "faulty/1.0"
    background.run(client.close())


def test_models_and_who_has_them(server: Server, background: Background) -> None:
    server.models = [{"id": "tiny", "owned_by": "vllm"}, {"id": "b", "owned_by": "x\x1b\n" + "y" * 999}, {"id": "c"}]
    client = Client(Endpoint(server.url))
    found = background.run(client.models())
    assert (found["tiny"], found["c"]) == ("vllm", None)
    assert found["b"].startswith(r"x\x1b y")
    assert len(found["b"]) < 400
    server.models = 401
    with pytest.raises(Refused, match="OPENAI_API_KEY holds the key"):
        background.run(client.models())
    background.run(client.close())
