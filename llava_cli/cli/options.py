# SPDX-License-Identifier: Apache-2.0
"""Options that several commands share."""

from __future__ import annotations

import dataclasses
import math
import secrets
from pathlib import Path
from typing import Annotated, Literal

import typer

from llava_cli.engine.engine import Generation
from llava_cli.engine.options import Attention as AttentionName
from llava_cli.engine.options import Dtype as DtypeName
from llava_cli.engine.options import LoadOptions, Quantization
from llava_cli.errors import UsageError
from llava_cli.media import limits as media_limits

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


def _finite(value: float | None) -> float | None:
    if value is not None and not math.isfinite(value):
        raise typer.BadParameter("must be a finite number")
    return value


def _positive(value: float | None) -> float | None:
    if _finite(value) is not None and value is not None and value <= 0:
        raise typer.BadParameter("must be more than 0")
    return value


def _seconds(text: str) -> float:
    from llava_cli.media.sampling import parse_time

    try:
        return parse_time(text)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error


def _size(value: str | int) -> int:
    try:
        return value if isinstance(value, int) else media_limits.parse_size(value)
    except UsageError as error:
        raise typer.BadParameter(str(error)) from error


def _rope_factor(text: str) -> float:
    kind, _, factor = text.partition(":")
    try:
        value = float(factor)
    except ValueError:
        value = math.nan
    if kind != "linear" or not 1 <= value <= 64:
        raise typer.BadParameter(f"{text!r} is not of the form linear:FACTOR, with a factor from 1 to 64")
    return value


def model_names(incomplete: str) -> list[str]:
    """Names of checkpoints that begin so, for completion in the shell."""
    from llava_cli.models.checkpoint import DEMO
    from llava_cli.models.published import PUBLISHED

    return [name for name in (DEMO, *PUBLISHED) if name.startswith(incomplete)]


Model = Annotated[
    str,
    typer.Option(
        "--model",
        "-m",
        metavar="NAME",
        autocompletion=model_names,
        help="A short name (see `llava models`), a hub id, a local folder, or 'demo' (the built-in tiny checkpoint).",
        rich_help_panel=_CHECKPOINT,
    ),
]
Revision = Annotated[
    str | None,
    typer.Option(metavar="REV", help="Branch, tag or commit of a hub checkpoint.", rich_help_panel=_CHECKPOINT),
]

RopeScaling = Annotated[
    float | None,
    typer.Option(
        parser=_rope_factor,
        metavar="linear:FACTOR",
        help="Stretch positions so that prompts may be FACTOR times as long as in training.",
        rich_help_panel=_CHECKPOINT,
    ),
]
DummyWeights = Annotated[
    bool,
    typer.Option(
        "--dummy-weights",
        help="Random weights of a short name's size, without a download: to measure a machine, never to answer.",
        rich_help_panel=_CHECKPOINT,
    ),
]

Frames = Annotated[
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
]
Fps = Annotated[
    float | None,
    typer.Option(
        metavar="R", callback=_positive, help="Frames a second, instead of a number of frames.", rich_help_panel=_FRAMES
    ),
]
SamplingPolicy = Annotated[
    Literal["uniform", "linspace"] | None,
    typer.Option(
        "--sampling",
        metavar="POLICY",
        help="'uniform' takes frames at i * total / N, 'linspace' from the first to the last. "
        "Without it, as the checkpoint was trained.",
        rich_help_panel=_FRAMES,
    ),
]
Start = Annotated[
    float | None,
    typer.Option(parser=_seconds, metavar="TIME", help="Start here: seconds or hh:mm:ss.", rich_help_panel=_FRAMES),
]
End = Annotated[
    float | None,
    typer.Option(parser=_seconds, metavar="TIME", help="End here: seconds or hh:mm:ss.", rich_help_panel=_FRAMES),
]
ExactPixels = Annotated[
    bool,
    typer.Option(
        "--exact-pixels/--no-exact-pixels",
        show_default=False,
        help="Scale frames with Pillow, to the byte as the checkpoint's authors did. Slower.",
        rich_help_panel=_FRAMES,
    ),
]

Fit = Annotated[
    bool,
    typer.Option(
        "--fit/--no-fit",
        show_default=False,
        help="Show fewer frames where the context is too short for all.",
        rich_help_panel=_FRAMES,
    ),
]

System = Annotated[
    str | None, typer.Option(metavar="TEXT", help="A system prompt.", rich_help_panel=_ANSWER, show_default=False)
]
MaxNewTokens = Annotated[
    int, typer.Option(metavar="N", min=1, max=1_000_000, help="Longest answer, in tokens.", rich_help_panel=_ANSWER)
]
Temperature = Annotated[
    float | None,
    typer.Option(
        metavar="T",
        min=0,
        callback=_finite,
        help="Sample the answer; without it decoding is greedy.",
        rich_help_panel=_ANSWER,
    ),
]
TopP = Annotated[
    float | None,
    typer.Option(
        metavar="P",
        min=0,
        max=1,
        callback=_positive,
        help="Sample from this much probability.",
        rich_help_panel=_ANSWER,
    ),
]
Seed = Annotated[
    int | None,
    typer.Option(metavar="N", min=0, max=2**63 - 1, help="Make sampling repeatable.", rich_help_panel=_ANSWER),
]

Device = Annotated[str, typer.Option(metavar="NAME", help="auto, cpu, cuda, cuda:1, mps …", rich_help_panel=_MACHINE)]
Dtype = Annotated[
    DtypeName,
    typer.Option(
        metavar="TYPE",
        help="Number format of weights and arithmetic: auto, float32, bfloat16 or float16.",
        rich_help_panel=_MACHINE,
    ),
]
Attention = Annotated[
    AttentionName,
    typer.Option(
        metavar="NAME", help="Attention implementation: sdpa, eager or flash_attention_2.", rich_help_panel=_MACHINE
    ),
]
FourBit = Annotated[
    bool,
    typer.Option(
        "--4bit/--no-4bit",
        show_default=False,
        help="Quantize the language model to 4 bit (nf4) while loading.",
        rich_help_panel=_MACHINE,
    ),
]

EightBit = Annotated[
    bool,
    typer.Option(
        "--8bit/--no-8bit",
        show_default=False,
        help="Quantize the language model to 8 bit while loading.",
        rich_help_panel=_MACHINE,
    ),
]
QuantizeAll = Annotated[
    bool,
    typer.Option(
        "--quantize-all/--no-quantize-all",
        show_default=False,
        help="Quantize the vision tower and the projector too.",
        rich_help_panel=_MACHINE,
    ),
]
DryRun = Annotated[
    bool,
    typer.Option(
        "--dry-run", help="Print frames, tokens and memory; read no weights, give no answer.", rich_help_panel=_MACHINE
    ),
]

MaxBytes = Annotated[
    int,
    typer.Option(
        "--max-bytes",
        parser=_size,
        metavar="SIZE",
        show_default="2G",
        help="Most to take from standard input, a pipe or a URL: bytes, 500M, 2G.",
        rich_help_panel=_LIMITS,
    ),
]
MaxPixels = Annotated[
    int,
    typer.Option("--max-pixels", min=1, help="Largest picture, width times height.", rich_help_panel=_LIMITS),
]
MaxWalk = Annotated[
    int,
    typer.Option(
        "--max-walk",
        min=1,
        help="Most frames to decode one by one in files that cannot be sampled by seeking.",
        rich_help_panel=_LIMITS,
    ),
]
Timeout = Annotated[
    float,
    typer.Option(
        "--timeout",
        callback=_positive,
        metavar="SECONDS",
        help="Longest that decoding a file may take.",
        rich_help_panel=_LIMITS,
    ),
]
AllowPrivateUrls = Annotated[
    bool,
    typer.Option(
        "--allow-private-urls",
        help="Read URLs at addresses that are not public, such as this machine's own network.",
        rich_help_panel=_LIMITS,
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


LIMITS = dataclasses.replace(media_limits.DEFAULT, urls="public")
"""Defaults for the options above."""


def generation(max_new_tokens: int, temperature: float | None, top_p: float | None, seed: int | None) -> Generation:
    """How the answer is generated; a sampled one gets a seed in any case, so that the record can repeat it."""
    if temperature and seed is None:
        seed = secrets.randbelow(2**32)
    return Generation(max_new_tokens, temperature, top_p, seed)


def limits(
    max_bytes: int, max_pixels: int, max_walk: int, timeout: float, allow_private_urls: bool
) -> media_limits.Limits:
    """What reading a file may cost, and where from."""
    urls: media_limits.Urls = "any" if allow_private_urls else "public"
    return media_limits.Limits(max_bytes, max_pixels, max_walk, timeout, urls)


def load_options(
    device: str = "auto",
    dtype: DtypeName = "auto",
    attention: AttentionName = "sdpa",
    four_bit: bool = False,
    eight_bit: bool = False,
    quantize_all: bool = False,
) -> LoadOptions:
    """How the checkpoint is loaded.

    Raises:
        UsageError: the options contradict each other.
    """
    if four_bit and eight_bit:
        raise UsageError("--4bit and --8bit exclude each other")
    if quantize_all and not (four_bit or eight_bit):
        raise UsageError("--quantize-all needs --4bit or --8bit")
    quantization: Quantization | None = "4bit" if four_bit else "8bit" if eight_bit else None
    return LoadOptions(device, dtype, attention, quantization, quantize_all)
