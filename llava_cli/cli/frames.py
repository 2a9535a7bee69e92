# SPDX-License-Identifier: Apache-2.0
"""`llava frames`: what a model would be shown. Needs no torch, no weights and no network."""

from __future__ import annotations

import json as json_module
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from llava_cli.atomic import make_folder
from llava_cli.cli import options, steps
from llava_cli.cli.grouping import Without
from llava_cli.cli.help import COMMON
from llava_cli.errors import UsageError
from llava_cli.media.worker.parent import Worker
from llava_cli.output import Output, check_writable, guarded_stdout
from llava_cli.record import frames_record, printable

if TYPE_CHECKING:
    from llava_cli.media.clip import Clip, Media

EXAMPLES = """
Examples:

  llava frames clip.mp4 --sheet frames.png

  llava frames clip.mp4 --fps 1 --start 1:30 --dir frames/

  llava frames clip.mp4 --json | jq '.frames[].time'
"""

MediaFiles = Annotated[
    list[str],
    typer.Argument(metavar="MEDIA...", help="Videos and images (files, URLs, '-' for standard input)."),
]
Folder = Annotated[
    Path | None,
    typer.Option("--dir", metavar="DIR", help="Save every frame as a PNG in this folder.", rich_help_panel="Output"),
    COMMON,
]
Json = Annotated[
    bool, typer.Option("--json", help="Print one line of JSON per file.", rich_help_panel="Output"), COMMON
]


def frames(
    media: MediaFiles,
    *,
    choice: Annotated[options.ModelOptions, Without("rope_factor", "dummy")],
    showing: Annotated[options.FrameOptions, Without("fit")],
    limits: Annotated[options.LimitOptions, Without("allow_urls")],
    sheet: options.Sheet = None,
    directory: Folder = None,
    json: Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Show which frames a model would see.

    Prints the time of each frame, and how many tokens they take. Frames have the checkpoint's own size and sampling.
    Released checkpoints are known by their short names: nothing is downloaded, and no model is loaded.
    """
    if media.count("-") > 1:
        raise UsageError("standard input (-) can be read only once")
    with guarded_stdout() as stdout, Worker(limits.for_media()) as worker:
        out = Output(stdout, quiet)
        check_writable(sheet)
        if directory is not None:
            make_folder(directory)
        family = steps.open_family(steps.shape_of(choice), out)
        shown = steps.load_all(media, showing.of(family.view), out, worker)
        if sheet is not None:
            steps.save_sheet(shown, sheet, out)
        if directory is not None:
            save_frames(shown, directory)
            out.say(f"llava: {directory}: {sum(map(_count, shown))} pictures")
        for medium in shown:
            tokens = family.visual_tokens(medium)
            if json:
                out.write(json_module.dumps(frames_record(medium, tokens)) + "\n")
            else:
                out.write(summary(medium, tokens, family.name))


def save_frames(media: Sequence[Media], folder: Path) -> None:
    """Write every frame as PNG; files are named after the media, the order and the frame's index."""
    from PIL import Image

    from llava_cli.media.clip import Clip
    from llava_cli.media.sheet import save_png

    for number, medium in enumerate(media, 1):
        stem = "stdin" if medium.info.path == "-" else Path(medium.info.path).stem
        prefix = f"{number:02}-{stem}" if len(media) > 1 else stem
        if not isinstance(medium, Clip):
            save_png(Image.fromarray(medium.pixels), folder / f"{prefix}.png")
            continue
        for place, (index, pixels) in enumerate(zip(medium.indices, medium.frames, strict=True)):
            save_png(Image.fromarray(pixels), folder / f"{prefix}-{place:04}-frame{index:06}.png")


def summary(medium: Media, tokens: int, family: str) -> str:
    """What of a file is shown, for people."""
    from llava_cli.media.clip import Clip

    info = medium.info
    about = f"{printable(info.path)}: {info.width}x{info.height} {info.codec or 'unknown'}"
    if not isinstance(medium, Clip):
        return f"{about}, {tokens} visual tokens for {family}\n"
    return f"{about}, {len(medium.frames)} frames, {tokens} visual tokens for {family}\n{_times(medium)}"


def _times(clip: Clip) -> str:
    from llava_cli.media.sampling import clock

    rows = [(str(index), clock(time)) for index, time in zip(clip.indices, clip.times, strict=True)]
    widths = [max(len("frame"), *(len(index) for index, _ in rows)), max(len("time"), *(len(t) for _, t in rows))]
    return "".join(f"{a.rjust(widths[0])}  {b.rjust(widths[1])}\n" for a, b in [("frame", "time"), *rows])


def _count(medium: Media) -> int:
    from llava_cli.media.clip import Clip

    return len(medium.frames) if isinstance(medium, Clip) else 1
