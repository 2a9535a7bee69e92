# SPDX-License-Identifier: Apache-2.0
"""The one seam between the commands and whatever runs a model."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

from llava_cli.media.clip import Media, View
from llava_cli.models.messages import Conversation

Dtype = Literal["auto", "float32", "bfloat16", "float16"]
Attention = Literal["sdpa", "eager", "flash_attention_2"]
Quantization = Literal["4bit", "8bit"]


@dataclass(frozen=True)
class LoadOptions:
    """Where and in which numbers a checkpoint runs; `auto` is what the machine does best."""

    device: str = "auto"
    dtype: Dtype = "auto"
    attention: Attention = "sdpa"
    quantization: Quantization | None = None
    quantize_all: bool = False
    """Quantize the vision tower and the projector too; by default only the language model's layers are."""


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
    finish_reason: Literal["stop", "length", "interrupted"]
    media: tuple[Media, ...]
    """In the order in which the prompt shows them."""
    visual_tokens: tuple[int, ...]
    """For each of the media."""
    prompt_tokens: int
    completion_tokens: int
    template: Literal["checkpoint", "family"]
    """Whose chat template wrote the prompt."""
    timing: Timing = field(default_factory=Timing)
    cached_tokens: int = 0
    """How many of the prompt's tokens an earlier answer had left ready, so that they were not run again."""


class Engine(Protocol):
    """A checkpoint, ready to answer."""

    info: ModelInfo

    @property
    def view(self) -> View:
        """How the checkpoint wants to see."""
        ...

    def answer(
        self,
        asks: Sequence[Conversation],
        generation: Generation,
        on_text: Callable[[str], None] | None = None,
        keep_cache: bool = False,
        stop: Callable[[], bool] | None = None,
    ) -> list[Answer]:
        """Answer each ask, in order.

        Media are encoded once, however many asks show them, and what all asks begin with is prefilled once.

        Args:
            on_text: called with each piece of the text as it comes; only for a single ask.
            keep_cache: keep what was computed, for a next single ask that continues this one; only for a single ask.
            stop: asked after each token; once it says yes, the answer ends there.

        Raises:
            OutOfMemory: the device has too little memory for these asks at once.
            ModelError: the prompt and the features do not fit together.
        """
        ...
