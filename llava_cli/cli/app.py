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
from llava_cli.cli import ask, batch, bench, caption, demo, models
from llava_cli.errors import ExitCode, LlavaError, Terminated

app = typer.Typer(
    name="llava",
    help="Ask questions about videos and images with LLaVA-family models on your own machine.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command(epilog=ask.EXAMPLES)(ask.ask)
app.command(epilog=caption.EXAMPLES)(caption.caption)
app.command(epilog=batch.EXAMPLES)(batch.batch)
app.command()(bench.bench)
app.command()(demo.demo)
app.command()(models.models)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"llava {__version__}")
        raise typer.Exit


@app.callback()
def _llava(
    version: Annotated[
        bool, typer.Option("--version", "-V", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    pass


def main() -> NoReturn:
    """Run the command line and exit with an `ExitCode`."""
    signal.signal(signal.SIGTERM, _terminate)
    sys.exit(_run())


def _run() -> int:
    from llava_cli.output import complain

    try:
        app()
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
