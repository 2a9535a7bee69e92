# SPDX-License-Identifier: Apache-2.0
"""The road from named media and a question to an answer: the one place that knows the order of its steps.

    open checkpoint ▸ view ▸ decode (in processes of its own) ▸ fit ▸ memory plan ▸ load ▸ answer

Everything that asks a model goes this way: one question, a conversation, a list, the self-test, Python users. What
does not fit, what is refused and what is warned of is decided here, alike for all. Nothing is printed: what users
should know goes through `logging`, and how far things are to a callback.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from llava_cli.answer import Answer, AnswerStream, Prepared
from llava_cli.engine.loaders import open_loader
from llava_cli.engine.remote.endpoint import Endpoint
from llava_cli.engine.types import Engine, LoadOptions, ModelLoader, Query
from llava_cli.errors import LlavaError, OutOfMemory, UsageError
from llava_cli.media.clip import Media, View
from llava_cli.media.limits import DEFAULT as DEFAULT_LIMITS
from llava_cli.media.limits import Limits
from llava_cli.media.named import WHOLE, Excerpt
from llava_cli.media.opened import OpenMedia
from llava_cli.media.worker.pool import DecodePool, Decoding
from llava_cli.models.checkpoint import DEFAULT, DEMO
from llava_cli.models.family import Family
from llava_cli.models.registry import open_family as open_family
from llava_cli.models.served import Served, open_served
from llava_cli.progress import Progress, no_progress, stage
from llava_cli.request import WRAPPED_AGAIN, Request

if TYPE_CHECKING:
    from llava_cli.engine.kv_cache import KVCache
    from llava_cli.engine.memory import MemoryPlan
    from llava_cli.engine.pool.seam import Engines, Spread

log = logging.getLogger(__name__)


def _know(error: BaseException, model: Mapping[str, Any]) -> None:
    """Have an error carry who was to answer, for its record."""
    if isinstance(error, LlavaError):
        error.known = {"model": model, **error.known}


class Session:
    """One checkpoint and the processes that decode for it. Weights are read when they are first needed."""

    family: Family | Served
    endpoint: Endpoint | None = None

    def __init__(
        self,
        checkpoint: str = DEFAULT,
        *,
        revision: str | None = None,
        rope_factor: float | None = None,
        dummy: bool = False,
        load: LoadOptions = LoadOptions(),  # noqa: B008 - frozen
        limits: Limits = DEFAULT_LIMITS,
        workers: int = 1,
        keep_s: float | None = None,
        endpoint: Endpoint | None = None,
        spread: Spread | None = None,
        progress: Progress = no_progress,
    ) -> None:
        """Open a checkpoint.

        Args:
            checkpoint: `demo`, a short name, a local folder, or a hub id.
            rope_factor: stretch positions linearly, so that prompts may be so many times as long as in training.
            dummy: random weights of a short name's geometry, to measure a machine.
            limits: what reading one file may cost.
            workers: how many processes decode.
            keep_s: have a worker load the checkpoint, which keeps it for commands to come until none has come for so
                many seconds; None loads it here.
            spread: where the engines are that answer lists, and nothing else; None is for this session's own.
        Raises:
            ModelError: there is no such checkpoint, or no family knows it.
        """
        self.load_options, self.limits, self._progress = load, limits, progress
        self.rope_factor, self._keep_s, self.endpoint, self._spread = rope_factor, keep_s, endpoint, spread
        self._told_of_device = False
        self._told: set[str] = set()
        # Its processes start while the checkpoint is opened.
        self.pool: Decoding = (
            DecodePool(workers, limits)
            if spread is None
            else spread.decoders(lambda: DecodePool(workers, limits), limits)
        )
        try:
            if endpoint is None:
                self.family = open_family(checkpoint, revision, rope_factor, dummy)
            else:
                self.family = open_served(checkpoint, endpoint.family)
        except BaseException as error:
            _know(error, {"checkpoint": checkpoint, "revision": revision, "dummy": dummy})
            self.close()
            raise

    def close(self) -> None:
        """End the processes that decode and a list's engines; leave the worker or the server, if there is one."""
        if "engines" in vars(self):
            self.engines.close()
        self.pool.close()
        if "loader" in vars(self):
            self.loader.close()

    def __enter__(self) -> Session:
        return self

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        if error is not None:
            _know(error, self.known_model)
        self.close()

    @property
    def known_model(self) -> dict[str, Any]:
        """As much of a record's `model` as is known by now."""
        if self.endpoint is not None or "loader" in vars(self):
            return asdict(self.loader.info)
        opened = self.family.checkpoint
        known = {"checkpoint": opened.name, "revision": opened.revision, "dummy": opened.dummy}
        return known | {"family": self.family.name}

    @contextmanager
    def open_media(self) -> Iterator[OpenMedia]:
        """A place for the media of one conversation."""
        media = OpenMedia(self.pool, self.limits)
        try:
            yield media
        finally:
            media.close()

    def view(self, request: Request, excerpt: Excerpt = WHOLE) -> View:
        """How a request's media are shown; `excerpt` is what is said of one of them."""
        choice = excerpt.over(request.choice)
        view = choice.prepared(self.family)
        return choice.of(view, self.family.frames_with_room(view))

    def views(self, request: Request) -> list[tuple[str, View]]:
        """Each of a request's media by name, and how it is shown."""
        return [(medium.path, self.view(request, medium.excerpt)) for medium in request.shown]

    @cached_property
    def loader(self) -> ModelLoader:
        """Everything about the model but its weights.

        Raises:
            UsageError: the machine has no such device, or it lacks a package.
            ModelError: the checkpoint is incomplete or damaged.
        """
        with stage(self._progress, "starting"):
            loader = open_loader(self.family, self.load_options, self._keep_s, self.endpoint, self.engines.terms())
        log.debug("%s: %s", loader.info.checkpoint, loader.info.summary)
        return loader

    @cached_property
    def engines(self) -> Engines:
        """Those that answer a list."""
        if self._spread is None:
            from llava_cli.engine.pool.runner import OwnEngine

            return OwnEngine(lambda: self.engine)
        return self._spread.engines(self.family.checkpoint, self.load_options, self._progress)

    @cached_property
    def engine(self) -> Engine:
        """The loaded checkpoint, downloaded where it is not here yet.

        Raises:
            ModelError: its weights are missing or damaged, or the hub does not give them.
            OutOfMemory: they do not fit.
        """
        checkpoint = self.family.checkpoint
        self.loader.check_memory([])
        checkpoint.fetch()
        if checkpoint.dummy:
            log.warning("the weights are random: the answer is meaningless")
        with stage(self._progress, f"loading {checkpoint.name}"):
            engine = self.loader.load(self._progress)
        for device, layers in (engine.info.device_map or {}).items():
            log.debug("layers %s: %s", layers, device)
        return engine

    def look(self, request: Request, media: OpenMedia) -> list[Media]:
        """What each of a request's media shows. Needs no torch.

        Raises:
            InputError: a file cannot be read.
        """
        with stage(self._progress, f"reading {', '.join(request.names)}"):
            return media.shown(self.views(request))

    def ask(self, request: Request, media: OpenMedia | None = None) -> Answer:
        """Answer one request.

        Args:
            media: where several requests share their media.

        Raises:
            LlavaError: it cannot be answered; see `prepare` and `engine`.
        """
        return self.stream_of(request, media).result()

    def stream_of(self, request: Request, media: OpenMedia | None = None) -> AnswerStream:
        """Answer one request piece by piece."""

        def pieces() -> Generator[str, None, Answer]:
            with nullcontext(media) if media is not None else self.open_media() as files:
                stream = self.stream(self.prepare(request, files), files)
                yield from stream
                return stream.result()

        return AnswerStream(pieces())

    def prepare(self, request: Request, media: OpenMedia, answering: bool = True) -> Prepared:
        """Decode the media of a request, and make it fit. Meanwhile the libraries are imported, and weights read.

        Args:
            answering: refuse what does not fit into the memory; False looks at it only, and reads no weights.

        Raises:
            InputError: a file cannot be read.
            UsageError: the prompt that the user wrote, or whose template, cannot be used.
            TooLong, OutOfMemory: it does not fit, and may not show fewer frames.
        """
        self.check(request)
        while True:
            media.begin(self.views(request))
            self._use_the_time(media, answering)
            shown = self.look(request, media)
            try:
                prepared = self.show(request, shown, media.decode_s)
                if answering:
                    self.check_memory(prepared)
            except LlavaError as error:
                error.known = {"media": tuple(shown), **error.known}
                request = self.fewer_frames(request, shown, error)
            else:
                media.tell_of(prepared.media)
                return prepared

    def stream(
        self,
        prepared: Prepared,
        media: OpenMedia,
        cache: KVCache | None = None,
        stop: Callable[[], bool] | None = None,
    ) -> AnswerStream:
        """Answer what was prepared, piece by piece.

        Args:
            media: where the request's media are open, for when memory runs out and fewer frames must do.
            cache: of earlier turns.
            stop: asked after each token; once it says yes, the answer ends there.
        """
        return AnswerStream(self._pieces(prepared, media, cache, stop))

    def show(self, request: Request, shown: Sequence[Media], decode_s: float) -> Prepared:
        """Put a request's question about its decoded media into a prompt.

        Raises:
            TooLong: it does not fit into the context.
            UsageError: a raw prompt does not place all media, or the user's template fails.
            InputError, ModelError: the media are not what the history says, or no template shows them.
        """
        self.check(request)
        conversation = request.conversation(shown)
        prompt = self.loader.prompt(conversation, request.generation.max_new_tokens)
        notes = (*self.family.remarks(shown), *self.family.doubts(self.loader.info.dtype))
        if prompt is not None:
            log.debug("%d prompt tokens, %d of them visual", len(prompt.ids), sum(prompt.visual_tokens))
            log.debug("prompt: %s", json.dumps(prompt.text, ensure_ascii=False))
            notes = (*prompt.notes, *notes)
        self._tell_of_device()
        self._tell_once((*notes, WRAPPED_AGAIN) if request.wrapped_again else notes)
        request = replace(request, notes=(*request.notes, *notes))
        query = Query(conversation, request.generation, prompt, request.choosing, request.logprobs,
                      request.constraint)  # fmt: skip
        return Prepared(request, tuple(shown), query, decode_s)

    def check(self, request: Request) -> None:
        """Refuse what can be done only where the prompt is made, and the model is.

        Raises:
            UsageError: a server makes the prompt, or has the model.
        """
        if self.endpoint is None:
            return
        if request.about_prompt:
            raise UsageError(f"{request.about_prompt[0]} cannot be used with an endpoint: its server makes the prompt")
        if request.choices is not None or request.logprobs is not None:
            raise UsageError("how likely answers are cannot be told with an endpoint: choices and logprobs need the "
                             "checkpoint here")  # fmt: skip

    def plan(self, *prepared: Prepared) -> MemoryPlan:
        """The memory that these take when they are answered together."""
        return self.loader.plan(*self._sizes(prepared))

    def check_memory(self, *prepared: Prepared) -> None:
        """Refuse what will not fit into memory.

        Raises:
            OutOfMemory: it does not; the message says what would.
        """
        self.loader.check_memory(*self._sizes(prepared))

    def _sizes(self, prepared: Sequence[Prepared]) -> tuple[list[tuple[int, int]], int | None]:
        """Tokens and new tokens of each, and how many patches of all their media are seen together at most."""
        media = [medium for one in prepared for medium in one.media]
        prompts = [(one.tokens, one.query.generation.max_new_tokens) for one in prepared]
        return prompts, self.family.vision_patches(media) if prepared else None

    def fewer_frames(self, request: Request, media: Sequence[Media], error: LlavaError) -> Request:
        """The request with so few frames that it may fit, after an error that says that it does not.

        Raises:
            LlavaError: the error, where it is another one, or where fewer frames are not wanted or do not help.
        """
        from llava_cli.engine.context import TooLong, fewer_frames, most_frames

        if isinstance(error, TooLong | OutOfMemory) and request.summary is not None:
            return request.shorter(error)
        frames, why = 0, ""
        if isinstance(error, TooLong):
            frames, why = error.frames, "to fit the checkpoint's context"
        elif isinstance(error, OutOfMemory):
            frames, why = most_frames(media) // 2, "to fit the memory"
        if not (request.fit and frames):
            raise error
        note = fewer_frames(frames, why)
        log.warning("%s: %s", ", ".join(request.names), note)
        return request.fewer_frames(frames, note)

    def _pieces(
        self, prepared: Prepared, media: OpenMedia, cache: KVCache | None, stop: Callable[[], bool] | None
    ) -> Generator[str, None, Answer]:
        whole = prepared.query.constraint is not None  # half of an answer has no shape
        while True:
            pieces = self.engine.stream(prepared.query, cache, stop)
            told = False
            try:
                while True:
                    piece = next(pieces)
                    if whole:
                        continue
                    told = told or bool(piece)
                    yield piece
            except StopIteration as end:
                media.decode_s = 0.0
                answer = Answer(prepared, end.value, self.engine.info)
                if answer.misfit is not None:
                    raise answer.misfit from None
                if whole:
                    yield answer.text
                return answer
            except OutOfMemory as error:
                if told:
                    raise
                failure = error
            del pieces  # and with them every tensor of the failed call
            from llava_cli.engine.memory import release

            release(failure)
            prepared = self.prepare(self.fewer_frames(prepared.request, prepared.media, failure), media)

    def _use_the_time(self, media: OpenMedia, answering: bool) -> None:
        """Import libraries while media are decoded elsewhere; where that takes longer, read the weights too."""
        _ = self.loader
        if answering and media.busy and self.family.checkpoint.is_here:
            _ = self.engine

    def _tell_of_device(self) -> None:
        """Say once, when media have turned out to be in order, that there is no GPU."""
        if self._told_of_device:
            return
        self._told_of_device = True
        if self.load_options.wants_gpu and self.loader.device == "cpu" and self.family.checkpoint.name != DEMO:
            log.info("no GPU was found: running on the CPU")

    def _tell_once(self, notes: Sequence[str]) -> None:
        """Say once what there is to say: in a list, it is the same of all."""
        for note in notes:
            if note not in self._told:
                self._told.add(note)
                log.warning("%s", note)
