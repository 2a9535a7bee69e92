# SPDX-License-Identifier: Apache-2.0
"""Requests to a server, through the `openai` client; whatever goes wrong with them is told in our words."""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from llava_cli.engine.remote.endpoint import KEY, Endpoint
from llava_cli.engine.remote.replies import (
    BrokenOff,
    Refused,
    Reply,
    ServerError,
    Streamed,
    in_short,
    message_of,
    whole_reply,
)
from llava_cli.engine.types import Unreachable
from llava_cli.errors import ModelError, UsageError, first_line
from llava_cli.extras import need

if TYPE_CHECKING:
    import httpx2
    import openai

_LARGEST_BODY = 64 << 20
"""Bytes; no answer is nearly as long, its wrapping and the list of a server's models included."""
_CONNECT_S = 10.0
_FIRST_WAIT_S, _LONGEST_WAIT_S = 0.5, 8.0

Tell = Callable[[str], None]


class Client:
    """A connection to a server. All but the constructor belongs to one event loop."""

    def __init__(self, endpoint: Endpoint) -> None:
        """Make ready; nothing is sent yet.

        Raises:
            UsageError: the library is missing, or the key in the environment cannot be one.
        """
        need("openai", "endpoint")
        import httpx2
        import openai

        self.endpoint = endpoint
        self.server: str | None = None
        """What the server calls itself, once it has said anything."""
        self._key = _key()
        self._refused: set[str] = set()
        """Fields that the server does not know."""
        self._accepted: set[str] = set()
        self._openai = openai.AsyncOpenAI(
            api_key=self._key or "none",
            base_url=endpoint.url,
            max_retries=endpoint.retries,
            http_client=openai.DefaultAsyncHttpxClient(
                timeout=httpx2.Timeout(endpoint.timeout_s, connect=min(_CONNECT_S, endpoint.timeout_s)),
                limits=httpx2.Limits(max_connections=None),
                follow_redirects=False,  # pictures and questions go to whom the user has named
                event_hooks={"response": [self._look]},
            ),
        )

    async def close(self) -> None:
        """Close all connections."""
        await self._openai.close()

    async def models(self) -> dict[str, str | None]:
        """The models that the server lists, each with its owner; none where it lists none, as far as can be told.

        Raises:
            Unreachable: nobody is there.
            Refused: the key is refused.
        """
        client = self._openai.with_options(max_retries=min(1, self.endpoint.retries))
        try:
            with self._told():
                async with asyncio.timeout(self.endpoint.timeout_s):
                    said = await client.models.with_raw_response.list()
        except ServerError:
            return {}
        except Refused as error:
            if error.status in (401, 403):
                raise
            return {}
        try:
            listed = json.loads(said.text)["data"]
            return {one["id"]: in_short(one.get("owned_by")) for one in listed if isinstance(one.get("id"), str)}
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
            return {}

    async def complete(
        self,
        body: Mapping[str, Any],
        optional: Mapping[str, Any] | None = None,
        tell: Tell | None = None,
        retries: int | None = None,
    ) -> Reply:
        """Have the server answer.

        Args:
            body: of the request.
            optional: fields that some servers know, and others refuse the request for; those go without.
            tell: called with each piece of the answer, as it comes. Once something is told, nothing is tried again.
            retries: other than the endpoint's.

        Raises:
            Unreachable: nobody is there.
            Refused: the server does not take the request.
            ServerError: it fails, takes too long, or says what is no answer.
        """
        extra = {key: value for key, value in (optional or {}).items() if key not in self._refused}
        try:
            with self._told():
                async with asyncio.timeout(self.endpoint.timeout_s):
                    reply = await self._answered({**body, **extra}, tell, retries)
        except Refused as error:
            unknown = extra.keys() - self._accepted
            if error.status not in (400, 422) or not unknown:
                raise
            unknown = {key for key in unknown if key in str(error)} or unknown
            self._refused |= unknown
            try:
                return await self.complete(body, optional, tell, retries)
            except Refused:
                self._refused -= unknown
                raise
        self._accepted |= extra.keys()
        return reply

    async def _answered(self, body: Mapping[str, Any], tell: Tell | None, retries: int | None) -> Reply:
        client = self._openai if retries is None else self._openai.with_options(max_retries=retries)
        if tell is not None:
            return await self._streamed(client, body, tell)
        started = time.perf_counter()
        said = await client.chat.completions.create(**_arguments(body))
        return whole_reply(said, body["max_tokens"], time.perf_counter() - started)

    async def _streamed(self, client: openai.AsyncOpenAI, body: Mapping[str, Any], tell: Tell) -> Reply:
        """An answer as it comes; one that breaks off before its first word is asked for again."""
        left, wait_s = client.max_retries, _FIRST_WAIT_S
        while True:
            streamed = Streamed(tell, body["max_tokens"])
            try:
                return await _stream(client, body, streamed)
            except BrokenOff as error:
                if streamed.told or not left:
                    raise ServerError(f"the answer broke off: {error}") from error
            await asyncio.sleep(wait_s)
            left, wait_s = left - 1, min(2 * wait_s, _LONGEST_WAIT_S)

    @contextmanager
    def _told(self) -> Iterator[None]:
        """Whatever goes wrong with a request, as one of our errors, which begins with who it is about."""
        try:
            yield
        except Exception as error:
            failure = self._failure(error)
            failure.args = (self._without_key(f"{self.endpoint.url}: {failure}"),)
            raise failure from error

    def _failure(self, error: Exception) -> ModelError:
        import httpx2
        import openai

        match error:
            case Refused() | ServerError():
                return error
            case TimeoutError():
                seconds = self.endpoint.timeout_s
                return ServerError(f"no whole answer within {seconds:g} seconds; --endpoint-timeout allows more")
            case openai.APITimeoutError():
                return Unreachable("cannot be reached: it does not answer")
            case openai.APIConnectionError(__cause__=httpx2.ConnectError() | httpx2.ProxyError()):
                return Unreachable(f"cannot be reached: {_cause(error)}")
            case openai.APIConnectionError():
                return ServerError(f"the connection broke: {_cause(error)}")
            case openai.APIStatusError():
                return _refusal(error.status_code, in_short(message_of(error.body)) or "it does not say why")
            case openai.APIError():
                return ServerError(f"fails: {in_short(message_of(error.body) or error.message)}")
            case openai.OpenAIError() | ValueError() | TypeError() | AttributeError() | KeyError() | RecursionError():
                return ServerError("what it says is no answer in OpenAI's protocol")
        raise error

    def _without_key(self, text: str) -> str:
        """A server may repeat the key; we do not."""
        return text.replace(self._key, "***") if self._key else text

    async def _look(self, response: httpx2.Response) -> None:
        """What is done with every response before it is read."""
        self.server = in_short(response.headers.get("server")) or self.server
        response.stream = _bounded(response.stream)


async def _stream(client: openai.AsyncOpenAI, body: Mapping[str, Any], streamed: Streamed) -> Reply:
    """Raises `BrokenOff`, and what the library raises."""
    import openai

    started = time.perf_counter()
    stream = await client.chat.completions.create(**_arguments(body), stream=True)
    async with stream:
        kind = stream.response.headers.get("content-type", "")
        if not kind.lower().startswith("text/event-stream"):
            raise ServerError(f"its answer is no stream but {in_short(kind) or 'of no type'}")
        try:
            async for chunk in stream:
                streamed.add(chunk, time.perf_counter() - started)
        except openai.APIConnectionError as error:
            raise BrokenOff(_cause(error)) from error
    return streamed.reply(time.perf_counter() - started)


def _key() -> str | None:
    """The key in the environment; a wrong one would be told by the library, with the key."""
    key = os.environ.get(KEY, "").strip()
    if not (key.isascii() and key.isprintable()) or " " in key:
        raise UsageError(f"{KEY} holds characters that no key has")
    return key or None


def _arguments(body: Mapping[str, Any]) -> dict[str, Any]:
    """A request's body as the library takes it, which knows fewer fields than servers do."""
    extra = {key: value for key, value in body.items() if key not in ("model", "messages")}
    return {"model": body["model"], "messages": body["messages"], "extra_body": extra}


def _refusal(status: int, said: str) -> ModelError:
    """What a status of HTTP's says."""
    if status >= 500 or status == 429:
        failure = ServerError(f"{'is busy' if status == 429 else 'fails'} (HTTP {status}): {said}")
        failure.status = status
        return failure
    remedy = f"; {KEY} holds the key" if status in (401, 403) else ""
    return Refused(f"refuses the request (HTTP {status}): {said}{remedy}", status)


def _cause(error: BaseException) -> str | None:
    """The innermost reason: the library's own words say less."""
    while error.__cause__ is not None:
        error = error.__cause__
    return in_short(first_line(error))


def _bounded(stream: Any) -> Any:
    """A response's bytes; more than any answer has are an error."""
    import httpx2

    class Bounded(httpx2.AsyncByteStream):
        async def __aiter__(self) -> AsyncIterator[bytes]:
            size = 0
            async for part in stream:
                size += len(part)
                if size > _LARGEST_BODY:
                    raise ServerError(f"its answer is larger than {_LARGEST_BODY >> 20} MiB")
                yield part

        async def aclose(self) -> None:
            await stream.aclose()

    return Bounded()
