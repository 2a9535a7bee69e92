# SPDX-License-Identifier: Apache-2.0
"""`llava models`: the released checkpoints, and what each takes."""

from __future__ import annotations

import json as json_module
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from llava_cli.cli import options, steps, values
from llava_cli.cli.command import App
from llava_cli.engine.memory import GIB
from llava_cli.models.cache import cached_sizes
from llava_cli.models.published import PUBLISHED
from llava_cli.output import Output, guarded_stdout

if TYPE_CHECKING:
    from llava_cli.media.clip import Clip, View

# What an answer of usual length adds to the video's tokens: the question, the template, the answer.
TEXT_TOKENS = 320


@dataclass(frozen=True)
class Row:
    """One released checkpoint."""

    name: str
    hub_id: str
    family: str
    frames: int
    """By default."""
    tokens_per_frame: int
    context: int | None
    bf16_gib: float
    """Memory for one video of the default number of frames."""
    nf4_gib: float
    local_gib: float
    """What the hub's cache holds of it."""


EXAMPLES = """
Examples:

  llava models

  llava models show next-video-7b

  llava models pull onevision-0.5b
"""
SHOW_EXAMPLES = """
Examples:

  llava models show demo

  llava models show llava-video-7b --json | jq .memory
"""
PULL_EXAMPLES = """
Examples:

  llava models pull onevision-0.5b

  HF_HOME=/big/disk llava models pull next-video-34b
"""

app = App(invoke_without_command=True)

Name = Annotated[
    str,
    typer.Argument(
        metavar="NAME", help="A short name, a hub id, a local folder, or 'demo'.", autocompletion=values.model_names
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.callback(epilog=EXAMPLES)
def models(context: typer.Context, json: Json = False) -> None:
    """List, show and download checkpoints.

    Without a command, it lists the released ones: short name, frames, tokens, context, memory, and what is on
    this machine. The memory is for one video with the default number of frames. Nothing is downloaded.
    """
    if context.invoked_subcommand is not None:
        return
    with guarded_stdout() as stdout:
        out = Output(stdout)
        with out.working("counting"):
            local = cached_sizes()
            rows = [_row(name, local) for name in PUBLISHED]
        if json:
            out.write("".join(json_module.dumps(asdict(row)) + "\n" for row in rows))
        else:
            out.write(_table(rows, out.width()))


@app.command(epilog=SHOW_EXAMPLES)
def show(name: Name, revision: options.Revision = None, json: Json = False, quiet: options.Quiet = False) -> None:
    """Show one checkpoint.

    Tells how it sees, how much it can read, the memory it takes, and how it is asked. Of a released checkpoint
    nothing is downloaded; of another hub id, its small files.
    """
    from llava_cli.cli import showing

    with guarded_stdout() as stdout:
        out = Output(stdout, quiet)
        family = steps.open_family(steps.shape_of(options.ModelOptions(name, revision)), out)
        with out.working("counting"):
            report = showing.describe(family)
        out.write(json_module.dumps(report) + "\n" if json else showing.text(report))


@app.command(epilog=PULL_EXAMPLES)
def pull(name: Name, revision: options.Revision = None, quiet: options.Quiet = False) -> None:
    """Download a checkpoint.

    It goes into the hub's cache, and its folder is printed. Files that are there are not fetched again.
    """
    with guarded_stdout() as stdout:
        out = Output(stdout, quiet)
        checkpoint = steps.open_family(options.ModelOptions(name, revision), out).checkpoint
        checkpoint.fetch()
        checkpoint.check_weights()
        out.write(f"{checkpoint.folder}\n")


def _row(name: str, local: dict[str, int]) -> Row:
    from llava_cli.engine.loader import Loader
    from llava_cli.engine.types import LoadOptions
    from llava_cli.models.checkpoint import dummy_checkpoint
    from llava_cli.models.registry import family_of

    family = family_of(dummy_checkpoint(name))
    clip = blank_clip(family.view)
    tokens, frames = family.visual_tokens(clip), len(clip.frames)
    loader = Loader(family, LoadOptions("cpu", "bfloat16"))
    bf16, nf4 = (loader.plan_quantized([(tokens + TEXT_TOKENS, 0)], bits).total / GIB for bits in (None, "4bit"))
    return Row(
        name=name,
        hub_id=PUBLISHED[name].hub_id,
        family=family.name,
        frames=frames,
        tokens_per_frame=tokens // frames,
        context=family.context,
        bf16_gib=round(bf16, 1),
        nf4_gib=round(nf4, 1),
        local_gib=round(local.get(PUBLISHED[name].hub_id, 0) / GIB, 1),
    )


def blank_clip(view: View) -> Clip:
    """A clip as the family wants it, of no picture."""
    import numpy as np

    from llava_cli.media.clip import Clip, MediaInfo

    frames = view.sampling.frames
    info = MediaInfo("blank", "video", view.size[1], view.size[0], None, "pyav")
    pixels = np.broadcast_to(np.uint8(0), (frames, *view.size, 3))
    return Clip(pixels, tuple(range(frames)), tuple(map(float, range(frames))), info, view.sampling)


def _table(rows: list[Row], width: int) -> str:
    """The rows as a table no wider than `width` columns (0: any width), without what matters least if need be."""
    columns = {
        "NAME": [row.name for row in rows],
        "FAMILY": [row.family for row in rows],
        "FRAMES": [str(row.frames) for row in rows],
        "TOKENS/FRAME": [str(row.tokens_per_frame) for row in rows],
        "CONTEXT": [str(row.context or "?") for row in rows],
        "BF16": [f"{row.bf16_gib} GiB" for row in rows],
        "4-BIT": [f"{row.nf4_gib} GiB" for row in rows],
        "LOCAL": [f"{row.local_gib} GiB" if row.local_gib else "-" for row in rows],
        "HUB ID": [row.hub_id for row in rows],
    }
    sizes = {head: max(map(len, [head, *cells])) for head, cells in columns.items()}
    for head in ("HUB ID", "TOKENS/FRAME", "FAMILY", "FRAMES", "CONTEXT"):
        if width and sum(sizes.values()) + 2 * len(sizes) - 2 > width:
            del sizes[head]
    lines = [[head, *columns[head]] for head in sizes]
    return "".join(
        "  ".join(text.ljust(sizes[head]) for head, text in zip(sizes, row, strict=True)).rstrip() + "\n"
        for row in zip(*lines, strict=True)
    )
