# SPDX-License-Identifier: Apache-2.0
"""The `llava` program: its commands, its signals, and what it says when something goes wrong."""

from __future__ import annotations

import atexit
import errno
import os
import signal
import sys
import threading
from types import FrameType
from typing import Annotated, NoReturn

import typer

from llava_cli import __version__, bugs
from llava_cli.cli import ask, batch, bench, caption, chat, demo, doctor, eval, frames, grep, help, models, worker
from llava_cli.cli.command import App
from llava_cli.cli.completion import SCRIPTS as SCRIPTS  # which replace the library's
from llava_cli.errors import ExitCode, LlavaError, Terminated, write_failure
from llava_cli.media.worker.process import end_ahead
from llava_cli.output import complain, say

_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)

FIRST_STEPS = (
    ("llava demo", "see it work: no download, no GPU"),
    ('llava ask video.mp4 "why is this funny?"', "one answer"),
    ("llava chat video.mp4", "a conversation"),
    ("llava caption -r videos/ -o captions.jsonl", "thousands of files, resumable"),
    ('llava grep "a dog" -r videos/', "which of them show something"),
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
app.add_typer(batch.app, name="batch")
app.command(epilog=grep.EXAMPLES)(grep.grep)
app.command(epilog=eval.EXAMPLES)(eval.eval)
app.command(epilog=frames.EXAMPLES)(frames.frames)
app.add_typer(models.app, name="models")
app.add_typer(worker.app, name="worker")
app.command(epilog=doctor.EXAMPLES)(doctor.doctor)
app.command(epilog=demo.EXAMPLES)(demo.demo)
app.add_typer(bench.app, name="bench")


def _version(wanted: bool) -> None:
    if wanted:
        say(f"llava {__version__}")
        raise typer.Exit


@app.callback(epilog=ask.EXAMPLES)
def _llava(
    context: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", "-V", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    if context.invoked_subcommand is None:
        say(help.overview(context.command, FIRST_STEPS, help.columns()))


def main() -> NoReturn:
    """Run the command line and exit with an `ExitCode`."""
    signal.signal(signal.SIGTERM, _terminate)
    _occupy_closed_streams()
    code = _run()
    _flush_streams()
    if any(thread.daemon for thread in threading.enumerate()):
        # Such a thread may be in the middle of native code; Python would abort as it is taken apart around it.
        atexit._run_exitfuncs()
        _flush_streams()
        os._exit(code)
    sys.exit(code)


def _run() -> int:
    try:
        # However it was started: completion scripts know it by this name.
        code = app(prog_name="llava", standalone_mode=False)
    except SystemExit as end:  # completion, and readers that have gone
        return end.code if isinstance(end.code, int) else ExitCode.USAGE
    except LlavaError as error:
        complain(f"llava: {error}")
        return error.exit_code
    except Terminated:
        complain("llava: terminated")
        return ExitCode.TERMINATED
    except Exception as error:
        if isinstance(error, OSError) and error.errno in _NO_ROOM:
            failure = write_failure(error.filename or "a temporary file", error)
            complain(f"llava: {failure}")
            return failure.exit_code
        complain(f"llava: {bugs.told(error)}")
        return ExitCode.BUG
    finally:
        end_ahead()
    return code if isinstance(code, int) else ExitCode.OK


def _occupy_closed_streams() -> None:
    """Put something in the place of standard streams that are closed, as cron jobs' may be.

    The next files to be opened would get their numbers, and then what is meant for a stream. Reading from the one and
    writing to the other go on failing; what is for stderr is for nobody.
    """
    for number, mode in enumerate((os.O_WRONLY, os.O_RDONLY, os.O_WRONLY)):
        try:
            os.fstat(number)
        except OSError:
            os.set_inheritable(os.open(os.devnull, mode), True)
    if sys.stderr is None:
        sys.stderr = open(2, "w", closefd=False)  # noqa: SIM115 - as long as the program


def _flush_streams() -> None:
    """Write what is still to be written; what cannot be must not change the exit code, or be told by Python."""
    for stream in filter(None, (sys.stdout, sys.stderr)):
        try:
            stream.flush()
        except (OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def _terminate(number: int, frame: FrameType | None) -> None:
    raise Terminated
