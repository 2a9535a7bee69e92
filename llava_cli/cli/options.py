# SPDX-License-Identifier: Apache-2.0
"""Options that several commands share: in groups, and some that stand alone."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from llava_cli.cli import values
from llava_cli.cli.help import COMMON
from llava_cli.cli.limit_options import LimitOptions as LimitOptions
from llava_cli.engine.device_map import DeviceMap
from llava_cli.engine.types import Attention, Dtype, Generation, LoadOptions, Quantization
from llava_cli.errors import UsageError
from llava_cli.media import limits as media_limits
from llava_cli.media.clip import Positions, Spread
from llava_cli.models.checkpoint import DEFAULT
from llava_cli.models.published import PUBLISHED
from llava_cli.request import FrameChoice

CONFIGURABLE_GROUPS = ("Checkpoint", "Frames", "Answer", "Machine")
"""Groups whose options the configuration file and LLAVA_* variables may set."""
NOT_CONFIGURABLE = (
    "--revision",
    "--dummy-weights",
    "--start",
    "--end",
    "--raw",
    "--template",
    "--schema",
    "--regex",
    "--grammar",
    "--prompt-ids",
    "--dry-run",
)
"""Options of these groups that belong to one question."""

_checkpoint, _frames, _answer, _machine, _output = (
    partial(typer.Option, rich_help_panel=group) for group in (*CONFIGURABLE_GROUPS, "Output")
)

STDOUT = Path("-")
"""What --output names to have records printed."""

Revision = Annotated[
    str | None, _checkpoint("--revision", metavar="REV", help="Branch, tag or commit of a hub checkpoint.")
]


@dataclass(frozen=True)
class ModelOptions:
    """Which checkpoint, and what is changed of it."""

    model: Annotated[
        str,
        _checkpoint(
            "--model",
            "-m",
            metavar="NAME",
            autocompletion=values.model_names,
            help="A short name (see `llava models`), a hub id, a local folder, or 'demo'.",
        ),
        COMMON,
    ] = DEFAULT
    revision: Revision = None
    rope_factor: Annotated[
        float | None,
        _checkpoint(
            "--rope-scaling",
            parser=values.rope_factor,
            metavar="linear:FACTOR",
            help="Stretch positions for prompts up to FACTOR times as long as in training.",
        ),
    ] = None
    dummy: Annotated[
        bool,
        _checkpoint(
            "--dummy-weights",
            help="Use random weights of a short name's size, without a download: to measure a machine, not to answer.",
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

    def plan(self) -> dict[str, Any]:
        """The same for a look ahead: a released checkpoint that is not here is known by its published shape."""
        from llava_cli.models.cache import is_described

        here = self.model not in PUBLISHED or is_described(PUBLISHED[self.model].hub_id)
        return self.session() if here else self.shape()


@dataclass(frozen=True)
class FrameOptions:
    """What the user chose of how frames are shown; None leaves it to the family."""

    frames: Annotated[
        int | None,
        _frames(
            "--frames",
            "-n",
            metavar="N",
            parser=values.whole(1, media_limits.MAX_FRAMES),
            help="Show at most N frames per video.",
            show_default="as trained",
        ),
        COMMON,
    ] = None
    fps: Annotated[
        float | None,
        _frames(
            "--fps",
            metavar="RATE",
            parser=values.positive,
            help="Show RATE frames per second instead of a fixed number.",
        ),
    ] = None
    sampling: Annotated[
        Spread | None,
        _frames(
            "--sampling",
            metavar="POLICY",
            parser=values.one_of(Spread),
            help="'uniform' takes frames at i * total / N, 'stride' at i * (total // N), 'linspace' from the first "
            "to the last, rounded down; 'linspace-rounded' to the nearest.",
            show_default="as trained",
        ),
    ] = None
    start: Annotated[
        float | None,
        _frames(
            "--start",
            parser=values.seconds,
            metavar="TIME",
            help="Start of what is shown, up to --end: seconds or h:mm:ss.",
        ),
        COMMON,
    ] = None
    end: Annotated[
        float | None, _frames("--end", parser=values.seconds, metavar="TIME", help="End of what is shown.")
    ] = None
    fast_pixels: Annotated[
        bool,
        _frames(
            "--fast-pixels/--no-fast-pixels",
            help="Scale frames inside the decoder: faster, but not to the same bytes as the checkpoint's authors.",
        ),
    ] = False
    max_frame_pixels: Annotated[
        int | None,
        _frames(
            "--max-frame-pixels",
            metavar="N",
            parser=values.whole(1),
            help="Show frames of up to N pixels, to checkpoints that see frames in sizes of their own.",
            show_default="as evaluated",
        ),
    ] = None
    video_positions: Annotated[
        Positions | None,
        _frames(
            "--video-positions",
            metavar="WAY",
            parser=values.one_of(Positions),
            help="What the vision tower is told of a frame's time: 'index', its place in the video, or 'zero', none.",
            show_default="as evaluated",
        ),
    ] = None
    fit: Annotated[
        bool, _frames("--fit/--no-fit", help="Show fewer frames if the context is too short for all of them.")
    ] = False

    def choice(self) -> FrameChoice:
        """The same in the terms of a request."""
        return FrameChoice(
            self.frames, self.fps, self.sampling, self.start, self.end, self.fast_pixels, self.max_frame_pixels,
            self.video_positions,
        )  # fmt: skip


@dataclass(frozen=True)
class GenerationOptions:
    """How the model answers."""

    system: Annotated[
        str | None, _answer("--system", metavar="TEXT", parser=values.text, help="The system prompt.")
    ] = None
    raw: Annotated[
        bool,
        _answer(
            "--raw",
            help="Take the question as the whole prompt, its marks and control tokens as they stand: no chat template.",
        ),
    ] = False
    template: Annotated[
        str | None,
        _answer(
            "--template",
            metavar="FILE|TEXT",
            parser=values.template,
            help="Use this chat template (Jinja) instead of the checkpoint's.",
        ),
    ] = None
    max_new_tokens: Annotated[
        int,
        _answer(
            "--max-new-tokens", metavar="N", parser=values.whole(1, 1_000_000), help="Stop an answer after N tokens."
        ),
        COMMON,
    ] = 256
    temperature: Annotated[
        float | None,
        _answer(
            "--temperature",
            metavar="T",
            parser=values.at_least_0,
            help="Sample the answer at this temperature; without it, decoding is greedy.",
        ),
    ] = None
    top_p: Annotated[
        float | None,
        _answer(
            "--top-p",
            metavar="P",
            parser=values.probability,
            help="Sample from the likeliest tokens that have probability P together.",
        ),
    ] = None
    seed: Annotated[
        int | None,
        _answer("--seed", metavar="N", parser=values.whole(0, 2**63 - 1), help="Sample the same answer again."),
    ] = None

    prompt_ids: Annotated[
        bool, _answer("--prompt-ids", help="Add the prompt and the token ids of prompt and answer to the record.")
    ] = False

    def wording(self) -> dict[str, Any]:
        """How a question becomes a prompt, as arguments of a request."""
        return {"system": self.system, "raw": self.raw, "template": self.template, "prompt_ids": self.prompt_ids}

    @property
    def asked(self) -> Generation:
        """The generation that the user asked for.

        Raises:
            UsageError: the options contradict each other.
        """
        if self.top_p is not None and not self.temperature:
            raise UsageError("--top-p needs a --temperature above 0: without one, nothing is sampled")
        return Generation(self.max_new_tokens, self.temperature, self.top_p, self.seed)

    def generation(self) -> Generation:
        """How the answer is generated; a sampled one gets a seed in any case, so that the record can repeat it.

        Raises:
            UsageError: the options contradict each other.
        """
        return self.asked.seeded()


@dataclass(frozen=True)
class DeviceOptions:
    """Where and in which numbers the checkpoint runs."""

    device: Annotated[
        str,
        _machine(
            "--device",
            metavar="NAME",
            parser=values.device,
            autocompletion=values.device_names,
            help="Where to run: auto, cpu, cuda, cuda:1, mps.",
        ),
    ] = "auto"
    device_map: Annotated[
        DeviceMap | None,
        _machine(
            "--device-map",
            metavar="MAP",
            parser=values.device_map,
            help="Several devices to spread layers over: 'auto' for all GPUs, or a list such as 0,1 or 0=20G,cpu,disk.",
        ),
    ] = None
    dtype: Annotated[
        Dtype,
        _machine(
            "--dtype",
            metavar="TYPE",
            parser=values.one_of(Dtype),
            help="Data type of the weights: auto, float32, bfloat16 or float16.",
        ),
    ] = "auto"
    attention: Annotated[
        Attention,
        _machine(
            "--attention",
            metavar="NAME",
            parser=values.one_of(Attention),
            help="Attention implementation: sdpa, eager or flash_attention_2.",
        ),
    ] = "sdpa"
    four_bit: Annotated[
        bool, _machine("--4bit/--no-4bit", help="Load the language model in 4 bits (NF4), for less memory."), COMMON
    ] = False
    eight_bit: Annotated[bool, _machine("--8bit/--no-8bit", help="Load the language model in 8 bits.")] = False
    quantize_all: Annotated[
        bool,
        _machine(
            "--quantize-all/--no-quantize-all",
            help="With --4bit or --8bit, quantize the vision tower and the projector too.",
        ),
    ] = False

    keep: Annotated[
        float | None,
        _machine(
            "--keep",
            metavar="TIME",
            parser=values.duration,
            help="Leave the checkpoint loaded in a worker for the next commands, until it has been idle for TIME: 5m.",
            show_default="off",
        ),
    ] = None

    def session(self) -> dict[str, Any]:
        """The same as arguments of a session."""
        return {"load": self.load_options(), "keep_s": self.keep or None}

    def load_options(self) -> LoadOptions:
        """How the checkpoint is loaded.

        Raises:
            UsageError: the options contradict each other.
        """
        if self.four_bit and self.eight_bit:
            raise UsageError("--4bit and --8bit cannot be used together")
        if self.quantize_all and not (self.four_bit or self.eight_bit):
            raise UsageError("--quantize-all needs --4bit or --8bit")
        quantization: Quantization | None = "4bit" if self.four_bit else "8bit" if self.eight_bit else None
        return LoadOptions(self.device, self.dtype, self.attention, quantization, self.quantize_all, self.device_map)


DryRun = Annotated[bool, _machine("--dry-run", help="Print frames, tokens and memory without answering."), COMMON]
Json = Annotated[bool, _output("--json", help="Print the record as one line of JSON."), COMMON]
OutputFile = Annotated[
    Path | None, _output("--output", "-o", metavar="FILE", help="Write the record to FILE; '-' prints it."), COMMON
]
Append = Annotated[bool, _output("--append", help="Append the record to FILE, which may be a ledger of a batch.")]
Sheet = Annotated[
    Path | None,
    _output(
        "--sheet",
        metavar="FILE",
        parser=values.file,
        help="Save the frames shown as a sheet: .png, .jpg or .webp.",
    ),
    COMMON,
]
Time = Annotated[bool, _output("--time", help="Report on stderr where the time went.")]
Verbose = Annotated[bool, _output("--verbose", "-v", help="Report on stderr what is loaded and shown.")]
Quiet = Annotated[bool, _output("--quiet", "-q", help="Print only errors on stderr.")]
