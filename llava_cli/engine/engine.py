# SPDX-License-Identifier: Apache-2.0
"""The one seam between the commands and whatever runs a model."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

from llava_cli.media.clip import Media, View
from llava_cli.models.conversation import Ask


@dataclass(frozen=True)
class Generation:
    """How an answer is generated. Greedy unless a temperature is given."""

    max_new_tokens: int = 256
    temperature: float | None = None
    top_p: float | None = None
    seed: int | None = None

    @property
    def do_sample(self) -> bool:
        return bool(self.temperature)


@dataclass(frozen=True)
class ModelInfo:
    """What answers: a record's `model`."""

    checkpoint: str
    revision: str | None
    family: str
    dtype: str
    quantization: str | None
    device: str
    attention: str
    dummy: bool = False
    """The weights are random: the answer means nothing."""


@dataclass
class Timing:
    """Seconds that each step took."""

    load_s: float = 0.0
    decode_s: float = 0.0
    encode_s: float = 0.0
    first_token_s: float = 0.0
    """From the start of the prefill to the first token."""
    generate_s: float = 0.0
    """From the start of the prefill to the last token."""


@dataclass(frozen=True)
class Answer:
    """An answer, and what the model was shown for it."""

    text: str
    finish_reason: Literal["stop", "length"]
    media: tuple[Media, ...]
    """In the order in which the prompt shows them."""
    visual_tokens: tuple[int, ...]
    """For each of the media."""
    prompt_tokens: int
    completion_tokens: int
    template: Literal["checkpoint", "family"]
    """Whose chat template wrote the prompt."""
    timing: Timing = field(default_factory=Timing)


class Engine(Protocol):
    """A checkpoint, ready to answer."""

    info: ModelInfo

    @property
    def view(self) -> View:
        """How the family wants to see frames."""
        ...

    def answer(
        self,
        asks: Sequence[Ask],
        generation: Generation,
        on_text: Callable[[str], None] | None = None,
        remember: bool = False,
    ) -> list[Answer]:
        """Answer each ask, in order.

        Media are encoded once, however many asks show them, and what all asks begin with is prefilled once.

        Args:
            on_text: called with each piece of the text as it comes; only for a single ask.
            remember: keep what was computed, for a next single ask that continues this one; only for a single ask.

        Raises:
            OutOfMemory: the device has too little memory for these asks at once.
            ModelError: the prompt and the features do not fit together.
        """
        ...
