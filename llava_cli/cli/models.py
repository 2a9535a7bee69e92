# SPDX-License-Identifier: Apache-2.0
"""`llava models`: the released checkpoints, and what each takes."""

from __future__ import annotations

import json as json_module
from dataclasses import asdict, dataclass
from typing import Annotated

import typer

from llava_cli.cli import options, values
from llava_cli.cli.command import App
from llava_cli.cli.help import COMMON
from llava_cli.cli.tables import table
from llava_cli.engine.memory import GIB
from llava_cli.media.clip import blank_clip
from llava_cli.models.cache import cached_sizes
from llava_cli.models.checkpoint import DEMO
from llava_cli.models.published import DEMO_GIB, DEMO_LICENCE, PUBLISHED
from llava_cli.output import console


@dataclass(frozen=True)
class Row:
    """One released checkpoint, or the built-in one."""

    name: str
    hub_id: str | None
    """None for the built-in one."""
    licence: str | None
    """As its card states it; None where that is not known."""
    family: str
    frames: int
    """By default."""
    tokens_per_frame: int
    context: int
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
Json = Annotated[bool, typer.Option("--json", help="Print one line of JSON per checkpoint."), COMMON]


@app.callback(epilog=EXAMPLES)
def models(context: typer.Context, json: Json = False) -> None:
    """List, show and download checkpoints.

    Without a command, it lists the released ones and the built-in one: short name, frames, tokens, context, memory,
    licence, and what is on this machine. The memory is for one video with the default number of frames. Nothing is
    downloaded.
    """
    if context.invoked_subcommand is not None:
        return
    with console() as out:
        local = cached_sizes()
        rows = [_row(name, local) for name in (*PUBLISHED, DEMO)]
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
    from llava_cli.session import open_family

    with console(quiet) as out:
        family = open_family(**options.ModelOptions(name, revision).shape())
        with out.working("counting"):
            report = showing.describe(family)
        out.write(json_module.dumps(report) + "\n" if json else showing.text(report))


@app.command(epilog=PULL_EXAMPLES)
def pull(name: Name, revision: options.Revision = None, quiet: options.Quiet = False) -> None:
    """Download a checkpoint.

    It goes into the hub's cache, and its folder is printed. Files that are there are not fetched again.
    """
    from llava_cli.session import open_family

    with console(quiet) as out:
        checkpoint = open_family(name, revision).checkpoint
        checkpoint.fetch()
        checkpoint.weights()
        out.write(f"{checkpoint.folder}\n")


def _row(name: str, local: dict[str, int]) -> Row:
    """Needs neither torch nor transformers: what a model's layers take was counted when the row was written."""
    from llava_cli.session import open_family

    published = PUBLISHED.get(name)
    family = open_family(name, dummy=published is not None)
    frames = family.view.sampling.frames
    bf16, nf4 = published.gib if published else DEMO_GIB
    return Row(
        name=name,
        hub_id=published.hub_id if published else None,
        licence=published.licence if published else DEMO_LICENCE,
        family=family.name,
        frames=frames,
        tokens_per_frame=family.visual_tokens(blank_clip(family.view, frames)) // frames,
        context=family.context,
        bf16_gib=bf16,
        nf4_gib=nf4,
        local_gib=round(local.get(published.hub_id, 0) / GIB, 1) if published else 0.0,
    )


def _table(rows: list[Row], width: int) -> str:
    """The rows as a table no wider than `width` columns (0: any width), without what matters least if need be."""
    columns = {
        "NAME": [row.name for row in rows],
        "FAMILY": [row.family for row in rows],
        "FRAMES": [str(row.frames) for row in rows],
        "TOKENS/FRAME": [str(row.tokens_per_frame) for row in rows],
        "CONTEXT": [str(row.context) for row in rows],
        "BF16": [f"{row.bf16_gib} GiB" for row in rows],
        "4-BIT": [f"{row.nf4_gib} GiB" for row in rows],
        "LOCAL": [_local(row) for row in rows],
        "LICENCE": [row.licence or "see its card" for row in rows],
        "HUB ID": [row.hub_id or "-" for row in rows],
    }
    sizes = {head: max(map(len, [head, *cells])) for head, cells in columns.items()}
    for head in ("HUB ID", "LICENCE", "TOKENS/FRAME", "FAMILY", "FRAMES", "CONTEXT"):
        if width and sum(sizes.values()) + 2 * len(sizes) - 2 > width:
            del sizes[head]
    return table(list(zip(*([head, *columns[head]] for head in sizes), strict=True)), str.ljust)


def _local(row: Row) -> str:
    if row.hub_id is None:
        return "built in"
    return f"{row.local_gib} GiB" if row.local_gib else "-"
