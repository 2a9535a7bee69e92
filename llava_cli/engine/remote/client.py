# SPDX-License-Identifier: Apache-2.0
"""Requests to a server, through the `openai` client; what goes wrong with them, in our words.

Only what is an answer beyond doubt is taken for one.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from llava_cli.engine.remote.endpoint import KEY, Endpoint
from llava_cli.engine.types import Unreachable
from llava_cli.errors import ModelError, UsageError, first_line
from llava_cli.extras import need
from llava_cli.words import one_line

if TYPE_CHECKING:
    import httpx2
    import openai

log = logging.getLogger(__name__)

_LARGEST_BODY = 64 << 20
"""Bytes; no answer is nearly as long, its wrapping and the list of a server's models included."""
_LONGEST_TOKEN = 256
"""Characters; vocabularies have some of a hundred and more, all of them blanks or the like."""
_LONGEST_SAID = 300
"""Characters that are told of what a server says of itself or of an error."""
_MOST_TOKENS = 1 << 31
_CONNECT_S = 10.0
_FIRST_WAIT_S, _LONGEST_WAIT_S = 0.5, 8.0


class Refused(ModelError):
    """The server does not do what it was asked for, and would not the next time."""

    code = "refused"

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


class ServerError(ModelError):
    """The server fails, or what it says is no answer."""

    code = "server"
    status: int | None = None
    """HTTP's number, where it says that it fails."""


class _Cut(Exception):
    """An answer broke off."""


@dataclass(frozen=True)
class Reply:
    """What a server says."""

    text: str
    finish_reason: Literal["stop", "length"]
    prompt_tokens: int
    completion_tokens: int
    cached_tokens: int = 0
    first_s: float = 0.0
    """Seconds from the request to the first words; 0 where they came all at once."""
    total_s: float = 0.0


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
                event_hooks={"response": [_bound]},
            ),
        )

    async def close(self) -> None:
        """Close all connections."""
        await self._openai.close()

    async def models(self) -> tuple[dict[str, str | None], str | None]:
        """The models that the server lists, each with its owner, and what the server calls itself.

        Of a server that lists none, as far as can be told, there are none.

        Raises:
            ModelError: it cannot be reached, or refuses the key.
        """
        client = self._openai.with_options(max_retries=min(1, self.endpoint.retries))
        try:
            async with asyncio.timeout(self.endpoint.timeout_s):
                with self._told():
                    said = await client.models.with_raw_response.list()
        except (ServerError, Refused) as error:
            if isinstance(error, Refused) and error.status in (401, 403):
                raise
            return {}, None
        except TimeoutError:
            raise Unreachable(f"{self.endpoint.url}: no answer within {self.endpoint.timeout_s:g} seconds") from None
        try:
            listed = json.loads(said.text)["data"]
            found = {one["id"]: _short(one.get("owned_by")) for one in listed if isinstance(one.get("id"), str)}
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
            found = {}
        return found, _short(said.headers.get("server"))

    async def complete(
        self,
        body: Mapping[str, Any],
        optional: Mapping[str, Any] | None = None,
        tell: Callable[[str], None] | None = None,
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
            reply = await self._answered({**body, **extra}, tell, retries)
        except Refused as error:
            unknown = {key for key in extra if key not in self._accepted}
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

    async def _answered(
        self, body: Mapping[str, Any], tell: Callable[[str], None] | None, retries: int | None
    ) -> Reply:
        client = self._openai if retries is None else self._openai.with_options(max_retries=retries)
        started, seconds = time.perf_counter(), self.endpoint.timeout_s
        try:
            async with asyncio.timeout(seconds):
                with self._told():
                    if tell is not None:
                        return await self._streamed(client, body, tell)
                    said = await client.chat.completions.create(**_arguments(body))
                    choice = _choice(said)
                    text = getattr(getattr(choice, "message", None), "content", None)
                    return self._reply(text, choice, said, body, 0.0, time.perf_counter() - started)
        except TimeoutError:
            raise ServerError(
                f"{self.endpoint.url}: no whole answer within {seconds:g} seconds; --endpoint-timeout allows more"
            ) from None

    async def _streamed(
        self, client: openai.AsyncOpenAI, body: Mapping[str, Any], tell: Callable[[str], None]
    ) -> Reply:
        """An answer as it comes; one that breaks off before its first word is asked for again."""
        wait_s = _FIRST_WAIT_S
        for left in reversed(range(client.max_retries + 1)):
            told = _Told(tell)
            try:
                return await self._stream(client, body, told)
            except _Cut as error:
                if told.length or not left:
                    raise ServerError(f"{self.endpoint.url}: the answer broke off: {error}") from error
                await asyncio.sleep(wait_s)
                wait_s = min(2 * wait_s, _LONGEST_WAIT_S)
        raise AssertionError("there is a last try")

    async def _stream(self, client: openai.AsyncOpenAI, body: Mapping[str, Any], told: _Told) -> Reply:
        import openai

        started, last = time.perf_counter(), None
        stream = await client.chat.completions.create(**_arguments(body), stream=True)
        kind = stream.response.headers.get("content-type", "")
        if not kind.lower().startswith("text/event-stream"):
            raise ServerError(f"{self.endpoint.url}: its answer is no stream but {_short(kind) or 'of no type'}")
        async with stream:
            try:
                async for chunk in stream:
                    choice = _choice(chunk)
                    piece = getattr(getattr(choice, "delta", None), "content", None)
                    if isinstance(piece, str) and piece:
                        told.add(piece, time.perf_counter() - started)
                        self._check_length(told.length, body)
                    if getattr(choice, "finish_reason", None) is not None:
                        last = choice
                    if getattr(chunk, "usage", None) is not None:
                        told.usage = chunk
            except openai.APIConnectionError as error:
                raise _Cut(_cause(error)) from error
        if last is None:
            raise _Cut("the connection was closed before its end")
        return self._reply(told.text, last, told.usage, body, told.first_s, time.perf_counter() - started)

    def _reply(
        self, text: Any, choice: Any, said: Any, body: Mapping[str, Any], first_s: float, total_s: float
    ) -> Reply:
        """What was said, made sure that it is an answer."""
        url, reason = self.endpoint.url, getattr(choice, "finish_reason", None)
        if not isinstance(text, str):
            raise ServerError(f"{url}: it says something that is no answer to a question")
        if reason not in ("stop", "length"):
            raise ServerError(f"{url}: the answer was not finished: finish_reason is {_short(str(reason))}")
        self._check_length(len(text), body)
        usage = getattr(said, "usage", None)
        details = getattr(usage, "prompt_tokens_details", None)
        counts = [getattr(usage, name, None) for name in ("prompt_tokens", "completion_tokens")]
        prompt, new = (n if type(n) is int and 0 <= n < _MOST_TOKENS else None for n in counts)
        if not prompt or new is None:
            raise ServerError(
                f"{url}: it does not say how many tokens the prompt had (usage), so whether it has seen the media "
                "cannot be known"
            )
        cached = getattr(details, "cached_tokens", None)
        known = cached if type(cached) is int and 0 <= cached <= prompt else 0
        return Reply(text, reason, prompt, new, known, first_s, total_s)

    def _check_length(self, characters: int, body: Mapping[str, Any]) -> None:
        if characters > _LONGEST_TOKEN * int(body["max_tokens"]):
            raise ServerError(f"{self.endpoint.url}: its answer is longer than {body['max_tokens']} tokens can be")

    @contextmanager
    def _told(self) -> Iterator[None]:
        """Whatever goes wrong with a request, as one of our errors."""
        import httpx2
        import openai

        url = self.endpoint.url
        try:
            yield
        except openai.APITimeoutError as error:
            raise Unreachable(f"{url}: cannot be reached: it does not answer") from error
        except openai.APIConnectionError as error:
            if isinstance(error.__cause__, httpx2.ConnectError | httpx2.UnsupportedProtocol | httpx2.ProxyError):
                raise Unreachable(f"{url}: cannot be reached: {self._said(_cause(error))}") from error
            raise ServerError(f"{url}: the connection broke: {self._said(_cause(error))}") from error
        except openai.APIStatusError as error:
            said, status = self._said(_message(error)), error.status_code
            if status >= 500 or status == 429:
                busy = "is busy" if status == 429 else "fails"
                failure = ServerError(f"{url}: {busy} (HTTP {status}): {said}")
                failure.status = status
                raise failure from error
            remedy = f"; {KEY} holds the key" if status in (401, 403) else ""
            raise Refused(f"{url}: refuses the request (HTTP {status}): {said}{remedy}", status) from error
        except openai.APIError as error:
            raise ServerError(f"{url}: fails: {self._said(_message(error))}") from error
        except (openai.OpenAIError, ValueError, TypeError, AttributeError, KeyError, RecursionError) as error:
            raise ServerError(f"{url}: what it says is no answer in OpenAI's protocol") from error

    def _said(self, text: str) -> str:
        """What a server says of an error, in a line; it may repeat the key, we do not."""
        hidden = text.replace(self._key, "***") if self._key else text
        return _short(hidden) or "it does not say why"


class _Told:
    """What has been told of an answer so far."""

    def __init__(self, tell: Callable[[str], None]) -> None:
        self._tell = tell
        self._pieces: list[str] = []
        self.length = 0
        self.first_s = 0.0
        self.usage: Any = None

    @property
    def text(self) -> str:
        return "".join(self._pieces)

    def add(self, piece: str, after_s: float) -> None:
        if not self._pieces:
            self.first_s = after_s
        self._pieces.append(piece)
        self.length += len(piece)
        self._tell(piece)


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


def _choice(said: Any) -> Any:
    choices = getattr(said, "choices", None)
    return choices[0] if isinstance(choices, list) and choices else None


def _message(error: openai.APIError) -> str:
    """What a server says of an error, wherever it puts that."""
    said: Any = error.body
    for key in ("error", "message", "detail"):
        said = said.get(key, said) if isinstance(said, dict) else said
    if isinstance(said, str) and said.strip():
        return said if not said.lstrip().startswith("<") else "a page in HTML"
    return json.dumps(said) if said else error.message


def _cause(error: BaseException) -> str:
    """The innermost reason: the library's own words say less."""
    while error.__cause__ is not None:
        error = error.__cause__
    return first_line(error)


def _short(said: Any) -> str | None:
    """Words of a server's, in one line and not too many."""
    text = one_line(" ".join(said.split())) if isinstance(said, str) else ""
    return (text if len(text) <= _LONGEST_SAID else f"{text[:_LONGEST_SAID]}…") or None


async def _bound(response: httpx2.Response) -> None:
    """Have a response that never ends, or is larger than any, be an error."""
    import httpx2

    class Bounded(httpx2.AsyncByteStream):
        def __init__(self, stream: Any) -> None:
            self._stream = stream

        async def __aiter__(self) -> AsyncIterator[bytes]:
            size = 0
            async for part in self._stream:
                size += len(part)
                if size > _LARGEST_BODY:
                    raise ServerError(f"the server's answer is larger than {_LARGEST_BODY >> 20} MiB")
                yield part

        async def aclose(self) -> None:
            await self._stream.aclose()

    response.stream = Bounded(response.stream)
