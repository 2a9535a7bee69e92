# SPDX-License-Identifier: Apache-2.0
"""The one seam between the commands and whatever runs a model."""

from __future__ import annotations

import math
import secrets
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal, Protocol, get_args

from llava_cli.engine.device_map import AUTO, DeviceMap
from llava_cli.engine.scores import Choices, ScoredChoice, ScoredToken
from llava_cli.errors import LlavaError, ModelError, UsageError
from llava_cli.media.clip import Media
from llava_cli.models.messages import Conversation
from llava_cli.models.prompt import Prompt, TemplateOf

if TYPE_CHECKING:
    from llava_cli.engine.kv_cache import KVCache
    from llava_cli.engine.memory import MemoryPlan
    from llava_cli.progress import Progress

Dtype = Literal["auto", "float32", "bfloat16", "float16"]
Attention = Literal["sdpa", "eager", "flash_attention_2"]
Quantization = Literal["4bit", "8bit"]
FinishReason = Literal["stop", "length", "interrupted"]
Shape = Literal["schema", "regex", "grammar"]
SHAPES: tuple[Shape, ...] = get_args(Shape)


@dataclass(frozen=True)
class LoadOptions:
    """Where and in which numbers a checkpoint runs; `auto` is what the machine does best.

    Raises:
        UsageError: both a device and several are named.
    """

    device: str = "auto"
    dtype: Dtype = "auto"
    attention: Attention = "sdpa"
    quantization: Quantization | None = None
    quantize_all: bool = False
    """Quantize the vision tower and the projector too; by default only the language model's layers are."""
    device_map: DeviceMap | None = None
    """Several devices, in the place of `device`."""

    def __post_init__(self) -> None:
        if self.device_map is not None and self.device != AUTO:
            raise UsageError("--device and --device-map cannot be used together; --device-map names all devices")

    @property
    def wants_gpu(self) -> bool:
        """Whether a GPU is to be used if there is one."""
        if self.device_map is None:
            return self.device == AUTO
        return AUTO in dict(self.device_map.limits)


@dataclass(frozen=True)
class Generation:
    """How an answer is generated. Greedy unless a temperature is given.

    Raises:
        UsageError: a number makes no sense.
    """

    max_new_tokens: int = 256
    temperature: float | None = None
    top_p: float | None = None
    seed: int | None = None

    def __post_init__(self) -> None:
        if self.max_new_tokens < 1:
            raise UsageError(f"max_new_tokens is {self.max_new_tokens}; it must be at least 1")
        if self.temperature is not None and not 0 <= self.temperature < math.inf:
            raise UsageError(f"temperature is {self.temperature}; it must be a finite number from 0 on")
        if self.top_p is not None and not 0 < self.top_p <= 1:
            raise UsageError(f"top_p is {self.top_p}; it must be more than 0 and at most 1")

    @property
    def do_sample(self) -> bool:
        return bool(self.temperature)

    def seeded(self) -> Generation:
        """The same, with a seed in any case where it samples, so that the record can repeat it."""
        if self.do_sample and self.seed is None:
            return replace(self, seed=secrets.randbelow(2**32))
        return self


@dataclass(frozen=True)
class Constraint:
    """The shape that an answer is to have, found to be in order; see `shape.read_constraint`."""

    kind: Shape
    text: str
    """A JSON schema, its keys in the order in which answers have them; a regular expression; or a grammar (Lark)."""

    @property
    def asked(self) -> dict[str, str]:
        """The same as keys of a record, or of a job."""
        return {self.kind: self.text}


@dataclass(frozen=True)
class ModelInfo:
    """What answers: a record's `model`. What only a server knows is None."""

    checkpoint: str
    revision: str | None
    family: str | None
    dtype: str | None
    quantization: str | None
    device: str | None
    """Where everything lies; of several devices, the one where all lies that is no layer of the language model."""
    attention: str | None
    dummy: bool = False
    """The weights are random: the answer means nothing."""
    rope_scaling: str | None = None
    """How positions are stretched, where that was asked for."""
    device_map: Mapping[str, str] | None = None
    """Where there are several devices: which layers lie on each, as "0-29"."""
    worker: bool = False
    """It stays loaded in a process of its own."""
    endpoint: str | None = None
    """The address of the server that answers, where one does."""
    server: str | None = None
    """What that server calls itself."""
    sent: str | None = None
    """How videos go to it."""

    @property
    def summary(self) -> str:
        """What answers, in a few words."""
        if self.endpoint is not None:
            return f"{self.family or 'of an unknown family'}, at {self.endpoint}"
        return f"{self.family}, {self.quantization or self.dtype} on {self.device}, {self.attention}"


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
class Query:
    """One conversation to answer."""

    conversation: Conversation
    generation: Generation = field(default_factory=Generation)
    prompt: Prompt | None = None
    """Its tokens, where they are known already; an engine that needs them makes them otherwise."""
    choices: Choices | None = None
    """The answer is to be the likeliest of these; nothing is generated."""
    logprobs: int | None = None
    """Tell of each token of a generated answer its log-probability, and so many of the likeliest in its place."""
    constraint: Constraint | None = None
    """The shape that the answer is to have."""


@dataclass(frozen=True)
class Completion:
    """What an engine says to a query, and what the model was shown for it."""

    text: str
    finish_reason: FinishReason
    media: tuple[Media, ...]
    """In the order in which the prompt shows them."""
    visual_tokens: tuple[int, ...]
    """For each of the media."""
    prompt_tokens: int
    completion_tokens: int
    template: TemplateOf
    timing: Timing = field(default_factory=Timing)
    cached_tokens: int = 0
    """How many of the prompt's tokens were in the cache of an earlier turn, so that they were not run again."""
    ids: tuple[int, ...] = ()
    """What was generated, with the token that ended it; of a choice, its own tokens."""
    notes: tuple[str, ...] = ()
    """What there is to say of how it was made."""
    confidence: float | None = None
    """The mean probability of the tokens of the answer, its end among them; None where it is not known."""
    choices: tuple[ScoredChoice, ...] = ()
    """What there was to choose from, in the order of the query."""
    tokens: tuple[ScoredToken, ...] = ()
    """What was generated, where the query wants to know how likely each token was."""


class SomeFailed(ModelError):
    """Some of several queries have answers, others have not."""

    def __init__(self, outcomes: Sequence[Completion | LlavaError]) -> None:
        failures = [str(outcome) for outcome in outcomes if isinstance(outcome, LlavaError)]
        super().__init__(f"{len(failures)} of {len(outcomes)} questions failed, e.g.: {failures[0]}")
        self.outcomes = outcomes
        """For each query, in order, its answer or why it has none."""


class Unreachable(ModelError):
    """Nobody answers any more: what is asked next would fail alike."""

    code = "unreachable"


class Engine(Protocol):
    """Whatever answers: a checkpoint in this process, or somewhere else."""

    info: ModelInfo

    def answer(self, batch: Sequence[Query]) -> list[Completion]:
        """Answer each query, in order. All ask for the same generation.

        Media are encoded once, however many queries show them, and what all prompts begin with is prefilled once.

        Raises:
            OutOfMemory: the device has too little memory for these queries at once.
            ModelError: a prompt and its features do not fit together.
            SomeFailed: where the engine knows which of several queries failed, and has answers to the others.
            UsageError: the engine cannot tell choices or log-probabilities, or not of these choices.
        """
        ...

    def stream(
        self, query: Query, cache: KVCache | None = None, stop: Callable[[], bool] | None = None
    ) -> Generator[str, None, Completion]:
        """Answer one query, yielding its text as it comes: a piece after every token, which may be empty.

        The pieces joined are the text of the completion, which the generator returns.

        Args:
            cache: what earlier turns of a conversation have computed; it is used, and brought up to date.
            stop: asked after each token; once it says yes, the answer ends there.

        Raises:
            OutOfMemory, ModelError: as `answer` does.
        """
        ...


class ModelLoader(Protocol):
    """Everything about a model but its weights, and the way to its engine."""

    @property
    def info(self) -> ModelInfo:
        """What will answer, as far as that is known."""
        ...

    @property
    def device(self) -> str | None:
        """Where it will run; None where that is not here."""
        ...

    def prompt(self, conversation: Conversation, new_tokens: int) -> Prompt | None:
        """The prompt for a conversation, made sure that it fits; None where only a server knows it.

        Raises:
            UsageError: it does not fit, or the user's own prompt or template cannot be used.
            ModelError: no template shows it.
        """
        ...

    def plan(self, prompts: Sequence[tuple[int, int]], patches: int | None = None) -> MemoryPlan:
        """The memory that a batch of prompts takes, each given as (tokens, new tokens).

        Args:
            patches: how many go through the vision tower together, by default those of the usual view.
        """
        ...

    def check_memory(self, prompts: Sequence[tuple[int, int]], patches: int | None = None) -> None:
        """Refuse what will not fit.

        Raises:
            OutOfMemory: it does not.
        """
        ...

    def load(self, progress: Progress) -> Engine:
        """Make it answer.

        Raises:
            ModelError, OutOfMemory: it cannot.
        """
        ...

    def close(self) -> None:
        """Leave what is elsewhere; of an engine in this process nothing is held."""
        ...
