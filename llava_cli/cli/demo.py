# SPDX-License-Identifier: Apache-2.0
"""`llava demo`: the whole road on a clip whose answers are known."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from llava_cli.atomic import check_writable, make_folder
from llava_cli.cli import options
from llava_cli.cli.help import COMMON
from llava_cli.errors import ExitCode, OutputError
from llava_cli.models.checkpoint import DEMO
from llava_cli.output import Output, console
from llava_cli.request import Request
from llava_cli.words import counted

if TYPE_CHECKING:
    from llava_cli.session import Session

log = logging.getLogger(__name__)

EXAMPLES = """
Examples:

  llava demo

  llava demo --output-dir demo/
"""

Folder = Annotated[
    Path | None,
    typer.Option(
        "--output-dir",
        metavar="DIR",
        help="Keep the clip, the image and the contact sheets here.",
        show_default="the user's cache folder",
    ),
    COMMON,
]


def demo(output_dir: Folder = None, quiet: options.Quiet = False) -> None:
    """See it work, without a download.

    Asks the built-in checkpoint about a clip that is drawn on the spot, and checks its answers. Exit code 1: an
    answer was wrong.
    """
    from llava_cli.demo import show
    from llava_cli.session import Session

    folder = _kept_in(output_dir)
    clip, still = folder / "clip.mp4", folder / "still.png"
    with console(quiet) as out, Session(DEMO, progress=out.progress) as session:
        with out.working("drawing a clip"):
            show.write_clip(clip)
            show.write_still(still)
        wrong = _compare(session, clip, show.CLIP_QUESTIONS, out) + _compare(session, still, show.STILL_QUESTIONS, out)
        if wrong:
            log.warning(
                "%s: this installation does not see what it is shown; run the tests", counted(wrong, "wrong answer")
            )
            raise typer.Exit(ExitCode.SOME_FAILED)


def _kept_in(folder: Path | None) -> Path:
    from platformdirs import user_cache_path

    kept = folder or user_cache_path("llava") / "demo"
    try:
        make_folder(kept, 0o700)
        for name in ("clip.mp4", "still.png"):
            check_writable(kept / name)
    except OutputError as error:
        if folder is not None:
            raise
        raise OutputError(f"{error}; --output-dir DIR has it made elsewhere") from error
    return kept


def _compare(session: Session, path: Path, questions: Iterable[tuple[str, str]], out: Output) -> int:
    """Ask and compare; the number of wrong answers."""
    from llava_cli.media import contact_sheet

    wrong = 0
    with session.open_media() as media:
        request = Request(media=(str(path),))
        sheet = path.with_name(f"{path.stem}-sheet.png")
        contact_sheet(session.look(request, media), sheet)
        out.write(f"{path}\nwhat the model sees: {sheet}\n\n")
        for question, truth in questions:
            answer = session.ask(replace(request, question=question), media).text
            wrong += answer != truth
            verdict = "right" if answer == truth else "WRONG"
            out.write(f"{question}\n    answer: {answer}\n    truth:  {truth}  ({verdict})\n")
    out.write("\n")
    return wrong
