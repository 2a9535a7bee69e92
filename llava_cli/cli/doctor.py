# SPDX-License-Identifier: Apache-2.0
"""`llava doctor`: what this machine can do, what is wrong with it, and what to do about that."""

from __future__ import annotations

import json as json_module
import sys
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from llava_cli.cli import options
from llava_cli.cli.command import all_configurable
from llava_cli.cli.help import COMMON, definitions
from llava_cli.errors import ExitCode
from llava_cli.output import console

if TYPE_CHECKING:
    from llava_cli.cli.checks import Check

EXAMPLES = """
Examples:

  llava doctor

  llava doctor --no-self-test --json | jq -r '.checks[] | select(.status == "problem") | .remedy'
"""

SelfTest = Annotated[
    bool,
    typer.Option("--self-test/--no-self-test", help="Test the built-in checkpoint and the decoders."),
    COMMON,
]
Hub = Annotated[bool, typer.Option("--hub", help="Also check over the network whether the hub can be reached."), COMMON]
Json = Annotated[bool, typer.Option("--json", help="Print the report as one line of JSON."), COMMON]


def doctor(
    context: typer.Context,
    self_test: SelfTest = True,
    hub: Hub = False,
    json: Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Check what this machine can do.

    Checks devices, libraries, decoders, quantization and settings, and tests the built-in checkpoint. Says what to
    do about each problem. Exit code 1: there is a problem.
    """
    from llava_cli.cli import checks
    from llava_cli.cli.settings import settings

    with console(quiet) as out:
        with out.working("looking"):
            found = checks.look(hub)
            values, broken = settings(all_configurable(context.find_root().command))
            found += broken
        if self_test:
            from llava_cli.cli import selftest

            with out.working("testing the built-in checkpoint"):
                found += selftest.run()
        if json:
            report = {"schema_version": 1, "checks": [asdict(check) for check in found], "settings": values}
            out.write(json_module.dumps(report) + "\n")
        else:
            out.write(_text(found, values, out.width()))
    if any(check.status == "problem" for check in found):
        raise typer.Exit(ExitCode.SOME_FAILED)


def _text(found: Sequence[Check], values: Sequence[dict[str, Any]], columns: int) -> str:
    """The report for people, in lines of so many columns (0: of any length)."""
    rows = []
    for check in found:
        sign = "PROBLEM" if check.status == "problem" else check.status
        rows.append((f"{sign:<8}{check.name}", check.detail))
        rows += [("", f"-> {check.remedy}")] if check.remedy else []
    widest = max(len(term) for term, _ in rows)
    changed = [value for value in values if value["source"] != "default"]
    lines = [*definitions(rows, columns or sys.maxsize, widest), "", "settings (flag > environment > file > default):"]
    lines += [f"  {value['key']} = {value['value']}  from {value['source']}" for value in changed]
    lines.append(f"  {'all others' if changed else 'all'} have their defaults")
    return "\n".join(lines) + "\n"
