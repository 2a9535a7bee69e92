# SPDX-License-Identifier: Apache-2.0
"""A server as an engine: what a loader and an engine do, done over there."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Generator, Sequence
from dataclasses import replace
from fractions import Fraction
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any

from llava_cli.bugs import as_failure
from llava_cli.engine.memory import MemoryPlan
from llava_cli.engine.remote.background import Background
from llava_cli.engine.remote.client import Client, Tell
from llava_cli.engine.remote.counting import Counter, Seen, Unseen, seen, small
from llava_cli.engine.remote.endpoint import Endpoint, Send
from llava_cli.engine.remote.replies import Refused, Reply, ServerError
from llava_cli.engine.remote.sending import Sender, Sending, metadata
from llava_cli.engine.shape import request_fields
from llava_cli.engine.types import Completion, Generation, ModelInfo, Query, SomeFailed, Timing
from llava_cli.errors import LlavaError, ModelError
from llava_cli.media.clip import Clip, Media
from llava_cli.models.messages import Conversation
from llava_cli.models.prompt import Prompt
from llava_cli.models.served import Served
from llava_cli.progress import Progress, no_progress

if TYPE_CHECKING:
    from llava_cli.engine.kv_cache import KVCache

log = logging.getLogger(__name__)

OWN_FRAMES = "--send file: the server has chosen the frames that it shows; those of this record were not sent"
_MOST_LISTED = 10
_FAILED = 500
"""HTTP's number for a server that did not expect what it was asked."""
_NOT_ABOUT_VIDEO = (401, 403, 404)
"""HTTP's numbers for a key or a model that there is not."""
_TICK_S = 0.1
"""How often a silent server's client looks whether to go on waiting."""


class RemoteLoader:
    """Stands for a `Loader`: all that it can say of a model is what the user has said."""

    device = None

    def __init__(self, served: Served, endpoint: Endpoint) -> None:
        self._served, self._endpoint = served, endpoint
        self._engine: RemoteEngine | None = None

    @property
    def info(self) -> ModelInfo:
        """What will answer."""
        return ModelInfo(
            checkpoint=self._served.checkpoint.name,
            revision=None,
            family=self._served.name,
            dtype=None,
            quantization=None,
            device=None,
            attention=None,
            endpoint=self._endpoint.url,
            sent=self._endpoint.sent(self._endpoint.send),
        )

    def prompt(self, conversation: Conversation, new_tokens: int) -> Prompt | None:
        """None: the server writes the prompt."""
        return None

    def plan(self, prompts: Sequence[tuple[int, int]], patches: int | None = None) -> MemoryPlan:
        """Nothing of this machine's memory."""
        return MemoryPlan(0, 0, 0, 0, fixed=0)

    def check_memory(self, prompts: Sequence[tuple[int, int]], patches: int | None = None) -> None:
        """It always fits."""

    def load(self, progress: Progress = no_progress) -> RemoteEngine:
        """Find the server.

        Raises:
            UsageError: the library for it is missing.
            ModelError: it cannot be reached, or does not have the model.
        """
        self._engine = RemoteEngine(self._served, self._endpoint, self.info)
        return self._engine

    def close(self) -> None:
        """Close all connections."""
        if self._engine is not None:
            self._engine.close()


class RemoteEngine:
    """A model that a server has. See `Engine` for the contract; may be used by several threads."""

    def __init__(self, served: Served, endpoint: Endpoint, info: ModelInfo) -> None:
        """Look whether the server is there, and has the model.

        Raises:
            UsageError, ModelError: as `RemoteLoader.load` does.
        """
        started = time.perf_counter()
        self._served, self._endpoint = served, endpoint
        self._client = Client(endpoint)
        self._background = Background()
        try:
            self._listed = self._background.run(self._client.models())
        except BaseException:
            self.close()
            raise
        self._model = next((name for name in served.names if name in self._listed), served.names[0])
        owner = self._listed.get(self._model)
        named = ", ".join(dict.fromkeys(filter(None, (owner, self._client.server))))
        self.info = replace(info, server=named or None)
        # vLLM begins a prompt with the first token only where the template writes it, which those of families do not.
        self._optional: dict[str, Any] = {"add_special_tokens": True} if owner == "vllm" and served.like else {}
        self._sender = Sender(endpoint)
        self._counter = Counter(self._client, self._sender, self._model, self._optional)
        self._way: Send | None = None if endpoint.send == "auto" else endpoint.send
        self._finding, self._slots = asyncio.Lock(), asyncio.Semaphore(endpoint.concurrency)
        self._load_s = time.perf_counter() - started

    def answer(self, batch: Sequence[Query]) -> list[Completion]:
        """See `Engine.answer`; so many at once as the endpoint's `concurrency` says."""
        outcomes = self._background.run(self._all(batch))
        answers = [outcome for outcome in outcomes if not isinstance(outcome, LlavaError)]
        if len(answers) == len(batch):
            return answers
        if len(batch) == 1 and isinstance(outcomes[0], LlavaError):
            raise outcomes[0]
        raise SomeFailed(outcomes)

    def stream(
        self, query: Query, cache: KVCache | None = None, stop: Callable[[], bool] | None = None
    ) -> Generator[str, None, Completion]:
        """See `Engine.stream`. The server keeps what turns of a conversation have in common, or does not."""
        pieces: SimpleQueue[str | None] = SimpleQueue()
        future = self._background.start(self._completion(query, pieces.put))
        future.add_done_callback(lambda _: pieces.put(None))
        text = ""
        try:
            while True:
                if stop is not None and stop():
                    return self._interrupted(query, text)
                try:
                    piece = pieces.get(timeout=_TICK_S)
                except Empty:
                    continue
                if piece is None:
                    return future.result()
                text += piece
                yield piece
        finally:
            future.cancel()

    def close(self) -> None:
        """Cancel what is still asked, and close all connections."""
        if self._background.closed:
            return
        self._background.run(self._client.close())
        self._background.close()

    async def _all(self, batch: Sequence[Query]) -> list[Completion | LlavaError]:
        return await asyncio.gather(*map(self._settled, batch))

    async def _settled(self, query: Query) -> Completion | LlavaError:
        async with self._slots:
            try:
                return await self._completion(query)
            except Exception as error:
                return as_failure(error)

    async def _completion(self, query: Query, tell: Tell | None = None) -> Completion:
        try:
            return await self._answered(query, tell)
        except Refused as error:
            if error.status in (400, 404) and self._listed and self._model not in self._listed:
                there = ", ".join(list(self._listed)[:_MOST_LISTED])
                raise ModelError(f"{self._endpoint.url}: has no model {self._model}; it has {there}") from error
            raise

    async def _answered(self, query: Query, tell: Tell | None) -> Completion:
        """The server's answer, made sure that it is about the media.

        Where the answer is told as it comes, this is found out before, as far as it can be.
        """
        conversation = self._served.instructed(query.conversation)
        media = conversation.media
        way = await self._way_of(conversation)
        sending = await self._sender.prepare(conversation, way)
        expected = await self._expected(media, way, sending, told=tell is not None)
        body = {"model": self._model, "messages": sending.messages, **_settings(query.generation)}
        if query.constraint is not None:
            body |= request_fields(query.constraint)
        optional = {**self._optional, **(metadata(conversation) if way == "frames" else {})}
        if tell is not None:
            optional["stream_options"] = {"include_usage": True}
        if not media:
            return self._completed(media, await self._client.complete(body, optional, tell), Seen(()))
        text = asyncio.ensure_future(self._counter.text(sending.text_only))
        try:
            reply = await self._client.complete(body, optional, tell)
            shown = seen(media, sending, reply.prompt_tokens, await text, expected)
        finally:
            text.cancel()
        if way == "file" and any(isinstance(medium, Clip) for medium in media):
            shown = replace(shown, notes=(*shown.notes, OWN_FRAMES))
        return self._completed(media, reply, shown)

    async def _expected(
        self, media: Sequence[Media], way: Send, sending: Sending, told: bool
    ) -> Sequence[Fraction] | None:
        """Tokens that each medium should take, where that is worth a request; of files, the server knows.

        Where the answer is told as it comes, it is too late at its end to find that the server sees nothing at all.
        """
        if way == "file":
            return None
        if sending.pictures > 1:
            return await self._counter.expected(media, way)
        if told and media:
            await self._counter.picture(small(media[0]), way)
        return None

    async def _way_of(self, conversation: Conversation) -> Send:
        """How videos go; found out on the first."""
        clip = next((medium for medium in conversation.media if isinstance(medium, Clip)), None)
        if self._way is not None or clip is None:
            return self._way or "images"
        async with self._finding:
            if self._way is None:
                self._way = await self._found(clip)
                self.info = replace(self.info, sent=self._endpoint.sent(self._way))
                log.info("%s: videos are sent as %s", self._endpoint.url, self.info.sent)
        return self._way

    async def _found(self, clip: Clip) -> Send:
        why: list[str] = []
        ways: tuple[Send, ...] = ("frames", "images")
        for way in ways:
            try:
                await self._counter.picture(clip, way, retries=1)
            except (Refused, Unseen) as error:
                if isinstance(error, Refused) and error.status in _NOT_ABOUT_VIDEO:
                    raise
                why.append(f"as {way}: {error}")
            except ServerError as error:
                if error.status != _FAILED:  # too busy, perhaps, to say
                    await self._counter.picture(clip, way)
                    return way
                why.append(f"as {way}: {error}")
            else:
                return way
        raise ModelError(
            f"{self._endpoint.url}: takes no video; {'; '.join(why)}; --send file sends the file itself", code="refused"
        )

    def _completed(self, media: tuple[Media, ...], reply: Reply, shown: Seen) -> Completion:
        load_s, self._load_s = self._load_s, 0.0
        return Completion(
            text=reply.text,
            finish_reason=reply.finish_reason,
            media=media,
            visual_tokens=shown.tokens,
            prompt_tokens=reply.prompt_tokens,
            completion_tokens=reply.completion_tokens,
            template="server",
            timing=Timing(load_s, first_token_s=reply.first_s, generate_s=reply.total_s),
            cached_tokens=reply.cached_tokens,
            notes=shown.notes,
        )

    def _interrupted(self, query: Query, text: str) -> Completion:
        """As much of an answer as came; what it took is only said at the end."""
        media = query.conversation.media
        return Completion(text, "interrupted", media, (0,) * len(media), 0, 0, "server")


def _settings(generation: Generation) -> dict[str, Any]:
    """How an answer is generated. What is not asked for is left to the server; greedy has to be asked for."""
    said = {"top_p": generation.top_p, "seed": generation.seed}
    return {
        "max_tokens": generation.max_new_tokens,
        "temperature": generation.temperature or 0,
        **{key: value for key, value in said.items() if value is not None},
    }
