# SPDX-License-Identifier: Apache-2.0
"""`llava demo`: the whole road on a clip whose answers are known."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from llava_cli.atomic import make_folder
from llava_cli.cli import options, steps
from llava_cli.engine.types import LoadOptions
from llava_cli.errors import ExitCode
from llava_cli.output import Output, guarded_stdout

if TYPE_CHECKING:
    from llava_cli.engine.local import LocalEngine

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
        help="Keep the clip, the still and the contact sheets here.  [default: the user's cache folder]",
        show_default=False,
    ),
]


def demo(output_dir: Folder = None, quiet: options.Quiet = False) -> None:
    """See it work, without a download.

    The built-in checkpoint is asked about a clip that is drawn on the spot, and its answers are checked. Ends
    with exit code 1 if an answer is wrong.
    """
    with guarded_stdout() as stdout:
        out = Output(stdout, quiet)
        wrong = _show(_kept_in(output_dir), out)
    if wrong:
        out.say(f"llava: {wrong} wrong answers: this installation does not see what it is shown; run the tests")
        raise typer.Exit(ExitCode.SOME_FAILED)


def _kept_in(folder: Path | None) -> Path:
    from platformdirs import user_cache_path

    folder = folder or user_cache_path("llava") / "demo"
    make_folder(folder, 0o700)
    return folder


def _show(folder: Path, out: Output) -> int:
    """Draw, ask and compare; the number of wrong answers."""
    from llava_cli.demo import show

    clip, still = folder / "clip.mp4", folder / "still.png"
    with out.working("drawing a clip"):
        show.write_clip(clip)
        show.write_still(still)
    family = steps.open_family(options.ModelOptions("demo"), out)
    engine = steps.load_engine(steps.open_loader(family, LoadOptions(), out), out)
    return _compare(engine, clip, show.CLIP_QUESTIONS, out) + _compare(engine, still, show.STILL_QUESTIONS, out)


def _compare(engine: LocalEngine, path: Path, questions: Iterable[tuple[str, str]], out: Output) -> int:
    from llava_cli.engine.types import Generation
    from llava_cli.media import contact_sheet
    from llava_cli.models.messages import ask

    (medium,) = steps.load_all([str(path)], engine.view, out)
    sheet = path.with_name(f"{path.stem}-sheet.png")
    contact_sheet(medium, sheet)
    out.write(f"{path}\nwhat the model sees: {sheet}\n\n")
    wrong = 0
    for question, truth in questions:
        answer = engine.answer([ask(question, [medium])], Generation())[0].text
        wrong += answer != truth
        verdict = "right" if answer == truth else "WRONG"
        out.write(f"{question}\n    answer: {answer}\n    truth:  {truth}  ({verdict})\n")
    out.write("\n")
    return wrong
