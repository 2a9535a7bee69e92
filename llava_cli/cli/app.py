# SPDX-License-Identifier: Apache-2.0
"""The `llava` program: its commands, its signals, and what it says when something goes wrong."""

from __future__ import annotations

import os
import platform
import signal
import sys
import time
import traceback
from pathlib import Path
from types import FrameType
from typing import Annotated, NoReturn

import typer

from llava_cli import __version__
from llava_cli.cli import ask, batch, bench, caption, chat, demo, doctor, frames, help, models
from llava_cli.cli.command import App
from llava_cli.errors import ExitCode, LlavaError, Terminated

FIRST_STEPS = (
    ("llava demo", "see it work: no download, no GPU"),
    ('llava ask video.mp4 "why is this funny?"', "one answer"),
    ("llava chat video.mp4", "a conversation"),
    ("llava caption -r videos/ -o captions.jsonl", "thousands of files, resumable"),
    ("llava frames video.mp4 --sheet frames.png", "what the model is shown"),
    ("llava models", "checkpoints, and their memory"),
    ("llava doctor", "what this machine can do"),
)
"""What `llava` alone shows."""

app = App(
    name="llava",
    help="Ask questions about videos and images with LLaVA-family models on your own machine.",
    invoke_without_command=True,
    pretty_exceptions_enable=False,
)
app.command(epilog=ask.EXAMPLES)(ask.ask)
app.command(epilog=chat.EXAMPLES)(chat.chat)
app.command(epilog=caption.EXAMPLES)(caption.caption)
app.command(epilog=batch.EXAMPLES)(batch.batch)
app.command(epilog=frames.EXAMPLES)(frames.frames)
app.add_typer(models.app, name="models")
app.command(epilog=doctor.EXAMPLES)(doctor.doctor)
app.command(epilog=demo.EXAMPLES)(demo.demo)
app.add_typer(bench.app, name="bench")


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"llava {__version__}")
        raise typer.Exit


@app.callback(epilog=ask.EXAMPLES)
def _llava(
    context: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", "-V", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    if context.invoked_subcommand is None:
        typer.echo(help.overview(context.command, FIRST_STEPS, help.columns()))


def main() -> NoReturn:
    """Run the command line and exit with an `ExitCode`."""
    signal.signal(signal.SIGTERM, _terminate)
    sys.exit(_run())


def _run() -> int:
    from llava_cli.output import complain

    try:
        app(prog_name="llava")  # however it was started: completion scripts know it by this name
    except SystemExit as end:  # Typer has dealt with help, usage errors, Ctrl-C and readers that have gone
        return end.code if isinstance(end.code, int) else ExitCode.USAGE
    except LlavaError as error:
        complain(f"llava: {error}")
        return error.exit_code
    except Terminated:
        complain("llava: terminated")
        return ExitCode.TERMINATED
    except Exception as error:
        complain(f"llava: this is a bug in llava: {type(error).__name__}: {error}; details in {_write_log()}")
        return ExitCode.BUG
    return ExitCode.OK


def _terminate(number: int, frame: FrameType | None) -> None:
    raise Terminated


def _write_log() -> Path | str:
    """Save the traceback of the exception being handled; the path of the file."""
    from platformdirs import user_state_path

    text = (
        f"llava {__version__}, Python {platform.python_version()}, {platform.platform()}\n"
        f"{sys.argv!r}\n\n{traceback.format_exc()}"
    )
    try:
        folder = user_state_path("llava")
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = folder / time.strftime(f"crash-%Y%m%d-%H%M%S-{os.getpid()}.log")
        path.write_text(text, "utf-8", "backslashreplace")
    except OSError as error:
        return f"nowhere, because the log could not be written ({error})"
    return path
