# SPDX-License-Identifier: Apache-2.0
"""`llava frames`: what a model would be shown. Needs no torch, no weights and no network."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from llava_cli.atomic import check_writable, make_folder
from llava_cli.cli import along, options
from llava_cli.cli.grouping import Without
from llava_cli.cli.help import COMMON
from llava_cli.cli.tables import table
from llava_cli.errors import ExitCode, LlavaError, UsageError
from llava_cli.media.sampling import clock
from llava_cli.output import console
from llava_cli.record import error_record, frames_record, to_json
from llava_cli.request import Request
from llava_cli.words import counted, one_line

if TYPE_CHECKING:
    from llava_cli.media.clip import Clip, Media
    from llava_cli.media.opened import OpenMedia
    from llava_cli.media.windows import Division, Window
    from llava_cli.models.family import Family
    from llava_cli.models.served import Served
    from llava_cli.session import Session

log = logging.getLogger(__name__)

EXAMPLES = """
Examples:

  llava frames clip.mp4 --sheet frames.png

  llava frames clip.mp4 --fps 1 --start 1:30 --dir frames/

  llava frames clip.mp4 --scenes --sheet scenes.png

  llava frames clip.mp4 --json | jq '.frames[]?.time'
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
    model: Annotated[options.ModelOptions, Without("rope_factor", "dummy")],
    choice: Annotated[options.FrameOptions, Without("fit")],
    windows: Annotated[along.WindowOptions, Without("context", "summary", "summary_prompt")],
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
    from llava_cli.session import Session

    if media.count("-") > 1:
        raise UsageError("standard input (-) can be read only once")
    request = Request(media=tuple(media), choice=choice.choice())
    with (
        console(quiet) as out,
        Session(**model.shape(), limits=limits.for_media(), progress=out.progress) as session,
        session.open_media() as files,
    ):
        check_sheet(sheet)
        if directory is not None:
            make_folder(directory)
        found = [_seen(session, replace(request, media=(name,)), files, windows.division) for name in media]
        shown = [one.shown for one in found if not isinstance(one, LlavaError)]
        failures = [one for one in found if isinstance(one, LlavaError)]
        if failures and len(media) == 1:
            raise failures[0]
        files.tell_of(shown)
        if sheet is not None and shown:
            save_sheet(shown, sheet)
        if directory is not None and shown:
            log.info("%s: %s", directory, counted(save_frames(shown, directory), "picture"))
        for one in found:
            if isinstance(one, LlavaError):
                log.error("%s", one)
                if json:
                    out.write(to_json(error_record(one, **one.known)) + "\n")
                continue
            out.write(to_json(_record(one, session.family)) + "\n" if json else _text(one, session.family))
        if failures:
            raise typer.Exit(ExitCode.SOME_FAILED if shown else failures[0].exit_code)


@dataclass(frozen=True)
class _Seen:
    """What a file shows: all of it, or each of its windows."""

    media: Sequence[Media]
    windows: Sequence[Window] = ()

    @property
    def shown(self) -> Media:
        """All of it in one."""
        from llava_cli.media.clip import joined

        return joined(cast("Sequence[Clip]", self.media)) if self.windows else self.media[0]


def _seen(session: Session, request: Request, files: OpenMedia, division: Division) -> _Seen | LlavaError:
    """What a file shows, or why it shows nothing: one bad file does not hide the others.

    A window is seen by its first frame, where it is not said how many it shows.
    """
    from llava_cli.media.worker.parent import NotStarted

    try:
        choice, name = request.choice, request.names[0]
        windows = session.pool.windows(files.source(name), division, choice.start, choice.end) if division else []
        if not windows:
            return _Seen(session.look(request, files))
        if choice.frames is choice.fps is None:
            choice = replace(choice, frames=1)
        parts = [replace(request, choice=replace(choice, start=one.start, end=one.end)) for one in windows]
        return _Seen([session.look(part, files)[0] for part in parts], windows)
    except NotStarted:
        raise
    except LlavaError as error:
        error.known = {"asked": dict.fromkeys(request.asked()), "paths": request.names, "model": session.known_model}
        return error


def _record(seen: _Seen, family: Family | Served) -> dict[str, Any]:
    """What of a file is shown: one record, with its windows where it has any."""
    if not seen.windows:
        return frames_record(seen.media[0], family.visual_tokens(seen.media[0]))
    parts = [frames_record(one, family.visual_tokens(one)) for one in seen.media]
    shown = [
        {"start": one.start, "end": one.end, **_of_part(part)} for one, part in zip(seen.windows, parts, strict=True)
    ]
    return {key: value for key, value in parts[0].items() if key not in _OF_PARTS} | {"windows": shown}


_OF_PARTS = ("frames", "sampling", "visual_tokens", "warnings")


def _of_part(record: dict[str, Any]) -> dict[str, Any]:
    return {key: record[key] for key in _OF_PARTS if key != "sampling"}


def _text(seen: _Seen, family: Family | Served) -> str:
    if not seen.windows:
        return summary(seen.media[0], family.visual_tokens(seen.media[0]), family.name)
    rows = [
        (str(one.number), clock(one.start), clock(one.end), ", ".join(map(str, clip.indices)))
        for one, clip in zip(seen.windows, cast("Sequence[Clip]", seen.media), strict=True)
    ]
    about = f"{one_line(seen.media[0].info.path)}: {counted(len(rows), 'window')}"
    return f"{about}\n{table([('window', 'start', 'end', 'frames'), *rows])}"


def check_sheet(path: Path | None) -> None:
    """Find out before minutes of work that a contact sheet could not be saved.

    Raises:
        UsageError, OutputError: it could not be.
    """
    if path is not None:
        from llava_cli.media.sheet import format_of

        format_of(path)
        check_writable(path)


def save_sheet(media: Sequence[Media], path: Path) -> None:
    """Save what is shown as a contact sheet."""
    from llava_cli.media import contact_sheet

    contact_sheet(media, path)
    log.info("%s: what the model is shown", path)


def save_frames(media: Sequence[Media], folder: Path) -> int:
    """Write every frame as PNG; files are named after the media, the order and the frame's index. How many."""
    from PIL import Image

    from llava_cli.media.clip import Clip
    from llava_cli.media.sheet import save

    count = 0
    for number, medium in enumerate(media, 1):
        stem = "stdin" if medium.info.path == "-" else Path(medium.info.path).stem
        prefix = f"{number:02}-{stem}" if len(media) > 1 else stem
        pictures = (
            {f"{prefix}-{i:04}-frame{index:06}.png": medium.frames[i] for i, index in enumerate(medium.indices)}
            if isinstance(medium, Clip)
            else {f"{prefix}.png": medium.pixels}
        )
        for name, pixels in pictures.items():
            save(Image.fromarray(pixels), folder / name)
        count += len(pictures)
    return count


def summary(medium: Media, tokens: int | None, family: str | None) -> str:
    """What of a file is shown, for people; only a server may know how many tokens it takes."""
    from llava_cli.media.clip import Clip

    info = medium.info
    about = f"{one_line(info.path)}: {info.width}x{info.height} {one_line(info.codec or 'unknown')}"
    taken = "" if tokens is None else f", {counted(tokens, 'visual token')} for {family}"
    if not isinstance(medium, Clip):
        return f"{about}{taken}\n"
    rows = [(str(index), clock(time)) for index, time in zip(medium.indices, medium.times, strict=True)]
    times = table([("frame", "time"), *rows])
    height, width = medium.frames.shape[1:3]
    return f"{about}, {counted(len(medium.frames), 'frame')} of {width}x{height}{taken}\n{times}"
