# SPDX-License-Identifier: Apache-2.0
"""`llava worker`: the processes that `--keep` leaves with a loaded checkpoint."""

from __future__ import annotations

import json as json_module
from typing import Annotated

import typer

from llava_cli.cli.command import App
from llava_cli.cli.help import COMMON
from llava_cli.cli.tables import table
from llava_cli.engine.warm import manage
from llava_cli.errors import UsageError
from llava_cli.output import console

EXAMPLES = """
Examples:

  llava ask clip.mp4 "What happens?" --keep 5m

  llava worker list

  llava worker stop
"""

LIST_EXAMPLES = """
Examples:

  llava worker list

  llava worker list --json | jq .checkpoint
"""
STOP_EXAMPLES = """
Examples:

  llava worker stop

  llava worker list
"""

app = App(no_args_is_help=True)

Json = Annotated[bool, typer.Option("--json", help="Print one line of JSON per worker."), COMMON]
Names = Annotated[list[str] | None, typer.Argument(metavar="[NAME...]", help="As `llava worker list` shows them.")]


@app.callback(epilog=EXAMPLES)
def worker() -> None:
    """List and stop the workers that --keep has started.

    A worker keeps one checkpoint loaded for the next commands. It ends by itself when it has been idle for as long as
    --keep said.
    """


@app.command("list", epilog=LIST_EXAMPLES)
def show(json: Json = False) -> None:
    """List the workers."""
    with console() as out:
        found = list(manage.workers())
        if json:
            out.write("".join(json_module.dumps({"name": one.name, **_known(one)}) + "\n" for one in found))
        elif not found:
            out.write("no worker is running; --keep starts one\n")
        else:
            head = ("name", "checkpoint", "device", "process", "state", "ends after")
            out.write(table([head, *map(_row, found)], str.ljust))


@app.command("stop", epilog=STOP_EXAMPLES)
def stop(names: Names = None) -> None:
    """Stop workers, whatever they do: those named, or all."""
    running = {one.name: one for one in manage.workers()}
    unknown = [name for name in names or () if name not in running]
    if unknown:
        raise UsageError(f"{unknown[0]}: no such worker; `llava worker list` shows them")
    with console() as out:
        for name in names or running:
            ended = manage.stop(running[name])
            out.write(f"{name}: {'stopped' if ended else f'did not stop (process {running[name].process})'}\n")


def _known(one: manage.Worker) -> dict[str, object]:
    return {"process": one.process, **one.status}


def _row(one: manage.Worker) -> tuple[str, ...]:
    status = one.status
    if not status:
        return one.name, "of another version", "", str(one.process), "", ""
    state = "busy" if status["busy"] else "in use" if status["clients"] else f"idle {status['idle_s']:.0f} s"
    device = status["device"] or ""
    return one.name, str(status["checkpoint"]), device, str(one.process), state, f"{status['keep_s']:g} s"
