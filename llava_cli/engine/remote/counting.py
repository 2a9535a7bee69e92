# SPDX-License-Identifier: Apache-2.0
"""What a server has seen, told by the tokens that it counts: media that it drops without a word cost none.

`usage.prompt_tokens` of a question with media, less that of the same question without, is what the media took. What
they should take is measured on grey pictures of their sizes, once for each size: two of a video's frames, one still.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from llava_cli.engine.remote.background import shared
from llava_cli.engine.remote.client import Client
from llava_cli.engine.remote.endpoint import Send
from llava_cli.engine.remote.sending import Message, Sender, Sending, metadata
from llava_cli.errors import ModelError
from llava_cli.media.clip import Clip, Media, MediaInfo, Still
from llava_cli.models.messages import ask
from llava_cli.words import counted

_REMEMBERED = 10_000
"""Texts whose tokens are known; each is a digest and a number."""
_PLAIN, _SMALL = "Hello", 64
_FEW = Fraction(9, 10)
"""Of what media should take: what goes with a picture, such as a newline, is not as often there as it is."""


class Unseen(ModelError):
    """A server has answered without the media."""

    code = "unseen"


@dataclass(frozen=True)
class Seen:
    """What the media of a question took of its prompt."""

    tokens: tuple[int, ...]
    """For each of the media."""
    notes: tuple[str, ...] = ()


class Counter:
    """Asks a server for numbers of tokens, and remembers them."""

    def __init__(self, client: Client, sender: Sender, model: str, optional: Mapping[str, Any]) -> None:
        """`optional`: fields of every request that it may do without."""
        self._client, self._sender, self._model, self._optional = client, sender, model, optional
        self._texts: OrderedDict[bytes, asyncio.Task[int]] = OrderedDict()
        self._sizes: dict[tuple[Send, str, tuple[int, ...]], asyncio.Task[Fraction]] = {}

    async def text(self, messages: Sequence[Message]) -> int:
        """Tokens of a prompt without media.

        Raises:
            ModelError: see `Client.complete`.
        """
        key = hashlib.sha256(json.dumps(messages).encode()).digest()
        if len(self._texts) >= _REMEMBERED and key not in self._texts:
            self._texts.popitem(last=False)
        return await shared(self._texts, key, lambda: self._prompt_tokens(messages))

    async def picture(self, medium: Media, way: Send, retries: int | None = None) -> Fraction:
        """Tokens that a picture of this medium's kind and size takes; `retries` as `Client.complete` has them.

        Raises:
            Unseen: the server takes such pictures, and drops them.
            ModelError: it does not take them, or see `Client.complete`.
        """
        kind, size = _shape(medium)
        return await shared(self._sizes, (way, kind, size), lambda: self._measured(medium, way, retries))

    async def expected(self, media: Sequence[Media], way: Send) -> list[Fraction]:
        """Tokens that each medium should take. Raises as `picture` does."""
        each = await asyncio.gather(*(self.picture(medium, way) for medium in media))
        return [one * _pictures(medium) for one, medium in zip(each, media, strict=True)]

    async def _measured(self, medium: Media, way: Send, retries: int | None) -> Fraction:
        conversation = ask(_PLAIN, [_grey(*_shape(medium))])
        sending = await self._sender.prepare(conversation, way)
        optional = {**self._optional, **(metadata(conversation) if way == "frames" else {})}
        shown = await self._prompt_tokens(sending.messages, optional, retries)
        tokens = shown - await self.text(sending.text_only)
        if tokens < sending.pictures:
            raise Unseen(
                f"{self._model} does not see {_shape(medium)[0]}s that are sent as {way}: "
                f"{counted(shown, 'token')} with them, {shown - tokens} without"
            )
        return Fraction(tokens, sending.pictures)

    async def _prompt_tokens(
        self, messages: Sequence[Message], optional: Mapping[str, Any] | None = None, retries: int | None = None
    ) -> int:
        body = {"model": self._model, "messages": list(messages), "max_tokens": 1, "temperature": 0}
        fields = self._optional if optional is None else optional
        return (await self._client.complete(body, fields, retries=retries)).prompt_tokens


def seen(media: Sequence[Media], sending: Sending, prompt: int, text: int, expected: Sequence[Fraction] | None) -> Seen:
    """What the media took, if they were seen at all.

    Args:
        prompt: tokens of the prompt with the media, as the server counted them.
        text: of the same without.
        expected: what each medium should take, where that is known.

    Raises:
        Unseen: they took nothing.
    """
    tokens = prompt - text
    if tokens < sending.pictures:
        raise Unseen(
            f"the server has dropped the media: the prompt has {counted(prompt, 'token')} with them and {text} "
            "without, so the answer is about nothing"
        )
    wanted = sum(expected or (), Fraction())
    notes: tuple[str, ...] = ()
    if tokens < wanted * _FEW:
        notes = (
            f"the server counts {counted(tokens, 'visual token')} where the pictures sent take {round(wanted)}: "
            "it has dropped some of them, or made them smaller",
        )
    return Seen(_shares(tokens, expected or [Fraction(_pictures(medium)) for medium in media]), notes)


def _shares(tokens: int, weights: Sequence[Fraction]) -> tuple[int, ...]:
    """Whole numbers in proportion to weights, which add up."""
    total, before, shares = sum(weights, Fraction()), Fraction(), []
    for weight in weights:
        shares.append(round(tokens * (before + weight) / total) - round(tokens * before / total))
        before += weight
    return tuple(shares)


def _pictures(medium: Media) -> int:
    return len(medium.frames) if isinstance(medium, Clip) else 1


def _shape(medium: Media) -> tuple[str, tuple[int, ...]]:
    """What two media must have in common for their pictures to take the same number of tokens."""
    if isinstance(medium, Clip):
        return "video", medium.frames.shape[1:3]
    return "image", medium.pixels.shape[:2]


def small(medium: Media) -> Media:
    """A small picture of a medium's kind: to see whether such are seen at all."""
    return _grey(_shape(medium)[0], (_SMALL, _SMALL))


def _grey(kind: str, size: tuple[int, ...]) -> Media:
    """Two grey frames, or a grey still."""
    import numpy as np

    if kind == "image":
        info = MediaInfo("grey", "image", size[1], size[0], None, "pillow")
        return Still(np.full((*size, 3), 128, np.uint8), info)
    info = MediaInfo("grey", "video", size[1], size[0], None, "pyav", duration=2.0)
    return Clip(np.full((2, *size, 3), 128, np.uint8), (0, 1), (0.0, 1.0), info)
