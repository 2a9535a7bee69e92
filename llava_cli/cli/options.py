# SPDX-License-Identifier: Apache-2.0
"""Options that several commands share: in groups, and some that stand alone."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from llava_cli.cli import values
from llava_cli.engine.types import Attention, Dtype, Generation, LoadOptions, Quantization
from llava_cli.errors import UsageError
from llava_cli.media import limits as media_limits
from llava_cli.models.checkpoint import DEFAULT
from llava_cli.models.published import PUBLISHED
from llava_cli.request import FrameChoice

_CHECKPOINT = "Checkpoint"
_FRAMES = "Frames"
_ANSWER = "Answer"
_MACHINE = "Machine"
_LIMITS = "Limits"
_OUTPUT = "Output"

CONFIGURABLE_GROUPS = (_CHECKPOINT, _FRAMES, _ANSWER, _MACHINE)
"""Groups whose options the configuration file and LLAVA_* variables may set."""
NOT_CONFIGURABLE = ("--revision", "--dummy-weights", "--start", "--end", "--dry-run")
"""Options of these groups that belong to one question."""


Revision = Annotated[
    str | None,
    typer.Option(
        "--revision", metavar="REV", help="Branch, tag or commit of a hub checkpoint.", rich_help_panel=_CHECKPOINT
    ),
]


@dataclass(frozen=True)
class ModelOptions:
    """Which checkpoint, and what is changed of it."""

    model: Annotated[
        str,
        typer.Option(
            "--model",
            "-m",
            metavar="NAME",
            autocompletion=values.model_names,
            help="A short name (see `llava models`), a hub id, a local folder, or 'demo' (the built-in tiny "
            "checkpoint).",
            rich_help_panel=_CHECKPOINT,
        ),
    ] = DEFAULT
    revision: Revision = None
    rope_factor: Annotated[
        float | None,
        typer.Option(
            "--rope-scaling",
            parser=values.rope_factor,
            metavar="linear:FACTOR",
            help="Stretch positions so that prompts may be FACTOR times as long as in training.",
            rich_help_panel=_CHECKPOINT,
        ),
    ] = None
    dummy: Annotated[
        bool,
        typer.Option(
            "--dummy-weights",
            help="Random weights of a short name's size, without a download: to measure a machine, never to answer.",
            rich_help_panel=_CHECKPOINT,
        ),
    ] = False

    def session(self) -> dict[str, Any]:
        """The same as arguments of a session."""
        return {
            "checkpoint": self.model,
            "revision": self.revision,
            "rope_factor": self.rope_factor,
            "dummy": self.dummy,
        }

    def shape(self) -> dict[str, Any]:
        """The same without weights: of a released checkpoint its published shape, for which nothing is downloaded."""
        return self.session() | {"dummy": self.model in PUBLISHED and self.revision is None}


@dataclass(frozen=True)
class FrameOptions:
    """What the user chose of how frames are shown; None leaves it to the family."""

    frames: Annotated[
        int | None,
        typer.Option(
            "--frames",
            "-n",
            metavar="N",
            min=1,
            max=media_limits.MAX_FRAMES,
            help="How many frames to show at most.",
            rich_help_panel=_FRAMES,
        ),
    ] = None
    fps: Annotated[
        float | None,
        typer.Option(
            metavar="R",
            callback=values.positive,
            help="Frames a second, instead of a number of frames.",
            rich_help_panel=_FRAMES,
        ),
    ] = None
    sampling: Annotated[
        Literal["uniform", "linspace"] | None,
        typer.Option(
            metavar="POLICY",
            help="'uniform' takes frames at i * total / N, 'linspace' from the first to the last. "
            "Without it, as the checkpoint was trained.",
            rich_help_panel=_FRAMES,
        ),
    ] = None
    start: Annotated[
        float | None,
        typer.Option(
            parser=values.seconds, metavar="TIME", help="Start here: seconds or hh:mm:ss.", rich_help_panel=_FRAMES
        ),
    ] = None
    end: Annotated[
        float | None,
        typer.Option(
            parser=values.seconds, metavar="TIME", help="End here: seconds or hh:mm:ss.", rich_help_panel=_FRAMES
        ),
    ] = None
    exact_pixels: Annotated[
        bool,
        typer.Option(
            "--exact-pixels/--no-exact-pixels",
            show_default=False,
            help="Scale frames with Pillow, to the byte as the checkpoint's authors did. Slower.",
            rich_help_panel=_FRAMES,
        ),
    ] = False
    fit: Annotated[
        bool,
        typer.Option(
            "--fit/--no-fit",
            show_default=False,
            help="Show fewer frames where the context is too short for all.",
            rich_help_panel=_FRAMES,
        ),
    ] = False

    def choice(self) -> FrameChoice:
        """The same in the terms of a request."""
        return FrameChoice(self.frames, self.fps, self.sampling, self.start, self.end, self.exact_pixels)


@dataclass(frozen=True)
class GenerationOptions:
    """How the model answers."""

    system: Annotated[
        str | None, typer.Option(metavar="TEXT", help="A system prompt.", rich_help_panel=_ANSWER, show_default=False)
    ] = None
    max_new_tokens: Annotated[
        int,
        typer.Option(metavar="N", min=1, max=1_000_000, help="Longest answer, in tokens.", rich_help_panel=_ANSWER),
    ] = 256
    temperature: Annotated[
        float | None,
        typer.Option(
            metavar="T",
            min=0,
            callback=values.finite,
            help="Sample the answer; without it decoding is greedy.",
            rich_help_panel=_ANSWER,
        ),
    ] = None
    top_p: Annotated[
        float | None,
        typer.Option(
            metavar="P",
            min=0,
            max=1,
            callback=values.positive,
            help="Sample from this much probability.",
            rich_help_panel=_ANSWER,
        ),
    ] = None
    seed: Annotated[
        int | None,
        typer.Option(metavar="N", min=0, max=2**63 - 1, help="Make sampling repeatable.", rich_help_panel=_ANSWER),
    ] = None

    @property
    def asked(self) -> Generation:
        """The generation that the user asked for."""
        return Generation(self.max_new_tokens, self.temperature, self.top_p, self.seed)

    def generation(self) -> Generation:
        """How the answer is generated; a sampled one gets a seed in any case, so that the record can repeat it."""
        return self.asked.seeded()


@dataclass(frozen=True)
class DeviceOptions:
    """Where and in which numbers the checkpoint runs."""

    device: Annotated[
        str, typer.Option(metavar="NAME", help="auto, cpu, cuda, cuda:1, mps …", rich_help_panel=_MACHINE)
    ] = "auto"
    dtype: Annotated[
        Dtype,
        typer.Option(
            metavar="TYPE",
            help="Number format of weights and arithmetic: auto, float32, bfloat16 or float16.",
            rich_help_panel=_MACHINE,
        ),
    ] = "auto"
    attention: Annotated[
        Attention,
        typer.Option(
            metavar="NAME", help="Attention implementation: sdpa, eager or flash_attention_2.", rich_help_panel=_MACHINE
        ),
    ] = "sdpa"
    four_bit: Annotated[
        bool,
        typer.Option(
            "--4bit/--no-4bit",
            show_default=False,
            help="Quantize the language model to 4 bit (nf4) while loading.",
            rich_help_panel=_MACHINE,
        ),
    ] = False
    eight_bit: Annotated[
        bool,
        typer.Option(
            "--8bit/--no-8bit",
            show_default=False,
            help="Quantize the language model to 8 bit while loading.",
            rich_help_panel=_MACHINE,
        ),
    ] = False
    quantize_all: Annotated[
        bool,
        typer.Option(
            "--quantize-all/--no-quantize-all",
            show_default=False,
            help="Quantize the vision tower and the projector too.",
            rich_help_panel=_MACHINE,
        ),
    ] = False

    def load_options(self) -> LoadOptions:
        """How the checkpoint is loaded.

        Raises:
            UsageError: the options contradict each other.
        """
        if self.four_bit and self.eight_bit:
            raise UsageError("--4bit and --8bit exclude each other")
        if self.quantize_all and not (self.four_bit or self.eight_bit):
            raise UsageError("--quantize-all needs --4bit or --8bit")
        quantization: Quantization | None = "4bit" if self.four_bit else "8bit" if self.eight_bit else None
        return LoadOptions(self.device, self.dtype, self.attention, quantization, self.quantize_all)


@dataclass(frozen=True)
class LimitOptions:
    """What reading a file may cost, and where from."""

    max_bytes: Annotated[
        int,
        typer.Option(
            "--max-bytes",
            parser=values.size,
            metavar="SIZE",
            help="Most to take from standard input, a pipe or a URL: bytes, 500M, 2G.  [default: 2G]",
            rich_help_panel=_LIMITS,
            show_default=False,
        ),
    ] = media_limits.DEFAULT.max_bytes
    max_pixels: Annotated[
        int,
        typer.Option(
            "--max-pixels", metavar="N", min=1, help="Largest picture, width times height.", rich_help_panel=_LIMITS
        ),
    ] = media_limits.DEFAULT.max_pixels
    max_walk: Annotated[
        int,
        typer.Option(
            "--max-walk",
            metavar="N",
            min=1,
            help="Most frames to decode one by one in files that cannot be sampled by seeking.",
            rich_help_panel=_LIMITS,
        ),
    ] = media_limits.DEFAULT.max_walk
    timeout: Annotated[
        float,
        typer.Option(
            "--timeout",
            callback=values.positive,
            metavar="SECONDS",
            help="Longest that decoding a file may take.",
            rich_help_panel=_LIMITS,
        ),
    ] = media_limits.DEFAULT.timeout
    max_memory: Annotated[
        int | None,
        typer.Option(
            "--max-memory",
            parser=values.size,
            metavar="SIZE",
            help="Most memory that decoding a file may take.  [default: half of the machine's]",
            rich_help_panel=_LIMITS,
            show_default=False,
        ),
    ] = media_limits.DEFAULT.max_memory
    allow_urls: Annotated[
        bool,
        typer.Option("--allow-urls", help="Read URLs (http, https) that the list names.", rich_help_panel=_LIMITS),
    ] = True
    allow_private_urls: Annotated[
        bool,
        typer.Option(
            "--allow-private-urls",
            help="Read URLs at addresses that are not public, such as this machine's own network.",
            rich_help_panel=_LIMITS,
        ),
    ] = False

    def for_media(self) -> media_limits.Limits:
        """The same in the terms of what reads media.

        Raises:
            UsageError: the options contradict each other.
        """
        if self.allow_private_urls and not self.allow_urls:
            raise UsageError("--allow-private-urls needs --allow-urls")
        urls: media_limits.Urls = "any" if self.allow_private_urls else "public" if self.allow_urls else "never"
        return media_limits.Limits(self.max_bytes, self.max_pixels, self.max_walk, self.timeout, self.max_memory, urls)


DryRun = Annotated[
    bool,
    typer.Option(
        "--dry-run", help="Print frames, tokens and memory; read no weights, give no answer.", rich_help_panel=_MACHINE
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print the record, one line of JSON.", rich_help_panel=_OUTPUT)]
OutputFile = Annotated[
    Path | None,
    typer.Option(
        "--output", "-o", metavar="FILE", help="Write the record there instead of printing.", rich_help_panel=_OUTPUT
    ),
]
Sheet = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="Save a contact sheet (PNG) of what the model is shown, each frame with its index and time.",
        rich_help_panel=_OUTPUT,
    ),
]
Time = Annotated[bool, typer.Option("--time", help="Say on stderr where the time went.", rich_help_panel=_OUTPUT)]
Verbose = Annotated[
    bool,
    typer.Option("--verbose", "-v", help="Say on stderr what is loaded and shown, and why.", rich_help_panel=_OUTPUT),
]
Quiet = Annotated[
    bool, typer.Option("--quiet", "-q", help="Say nothing on stderr but errors.", rich_help_panel=_OUTPUT)
]
