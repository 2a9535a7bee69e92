# SPDX-License-Identifier: Apache-2.0
"""`llava batch export` and `llava batch show`: what a ledger holds, for trainers and for people."""

from __future__ import annotations

import logging
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, cast, get_args

import typer

from llava_cli.atomic import write_file
from llava_cli.batch.writers.forms import Timed
from llava_cli.cli import along, options, values
from llava_cli.cli.help import COMMON
from llava_cli.cli.tables import table
from llava_cli.errors import UsageError
from llava_cli.output import Output, console
from llava_cli.words import counted

if TYPE_CHECKING:
    from llava_cli.batch.export import ListName
    from llava_cli.batch.writers.forms import Form
    from llava_cli.batch.writers.writer import Target
    from llava_cli.captions import Wording

log = logging.getLogger(__name__)

ExportName = Literal["txt", "csv", "videofolder", "musubi", "ltx", "kohya", Timed]

EXPORT_EXAMPLES = """
Examples:

  llava batch export captions.jsonl --to kohya --prefix "zxc style, " --clean

  llava batch export captions.jsonl --to musubi -o musubi.jsonl --max-sentences 2

  llava batch export captions.jsonl --to srt --output-dir subtitles/
"""
SHOW_EXAMPLES = """
Examples:

  llava batch show captions.jsonl

  llava batch show captions.jsonl --failed
"""

LedgerFile = Annotated[Path, typer.Argument(metavar="LEDGER", help="What --output of caption or batch has written.")]
To = Annotated[
    ExportName | None,
    typer.Option(
        "--to",
        metavar="FORMAT",
        parser=values.one_of(ExportName),
        help="Files beside the media: txt, kohya (a caption in one line), srt, vtt, chapters, ffmetadata. Or one list: "
        "csv, videofolder (metadata.jsonl), musubi, ltx.",
    ),
    COMMON,
]
ListFile = Annotated[
    Path | None,
    typer.Option(
        "--output",
        "-o",
        metavar="FILE",
        help="Write a list to FILE.",
        show_default="print it",
        rich_help_panel="Output",
    ),
    COMMON,
]
Folder = Annotated[
    Path | None,
    typer.Option(
        "--output-dir",
        metavar="DIR",
        help="Write files here instead of next to the media; of a videofolder, the folder that its files are in.",
        rich_help_panel="Output",
    ),
]
Overwrite = Annotated[
    bool,
    typer.Option("--overwrite", help="Replace files that others have written.", rich_help_panel="Output"),
]
Failed = Annotated[bool, typer.Option("--failed", help="List the failed jobs, and why."), COMMON]


def export(
    ledger: LedgerFile,
    to: To = None,
    *,
    wording: along.WordingOptions,
    output: ListFile = None,
    output_dir: Folder = None,
    overwrite: Overwrite = False,
    quiet: options.Quiet = False,
) -> None:
    """Write what trainers and players read, from a ledger.

    One caption a file: of a video in windows, what --summary asked of them, or else all that was said of them. Nothing
    is asked again, and the ledger is left as it is.
    """
    from llava_cli.batch.export import KOHYA
    from llava_cli.batch.writers.forms import FORMS

    if to is None:
        raise UsageError(f"--to is missing; it says what to write: {', '.join(get_args(ExportName))}")
    form = KOHYA if to == "kohya" else FORMS.get(to)
    if output is not None and (form is not None or to == "videofolder"):
        raise UsageError(f"--output is for lists; {to} is written into a folder: --output-dir")
    if output_dir is not None and form is None and to != "videofolder":
        raise UsageError(f"--output-dir is for files beside media; {to} is one list: --output")
    made = wording.wording()
    with console(quiet) as out:
        if form is not None:
            count = _write_beside(ledger, form, made, output_dir, overwrite)
            log.info("%s: captions of %s", to, counted(count, "file"))
        elif to == "csv":
            _write_table(ledger, made, output or out.write)
        else:
            _write_list(ledger, cast("ListName", to), made, output_dir, output, out)


def show(ledger: LedgerFile, failed: Failed = False, quiet: options.Quiet = False) -> None:
    """Show what became of the jobs of a ledger.

    Counts what is done and failed, empty answers, those that were cut off or repeat themselves, the frames shown, and
    how long it took.
    """
    from llava_cli.batch.overview import overview_of
    from llava_cli.batch.reading import records_of

    with console(quiet) as out:
        found = overview_of(records_of(ledger))
        if failed:
            rows = [("id", "about", "error"), *found.failures]
            out.write(table(rows, str.ljust) if found.failures else "no job has failed\n")
            return
        out.write(table(found.rows(), str.ljust))
        if found.failures:
            causes = ", ".join(f"{count} {code}" for code, count in found.causes.most_common())
            lines = [f"  {about}: {message}\n" for _, about, message in found.failures[:_FIRST]]
            more = len(found.failures) - _FIRST
            rest = [f"  and {counted(more, 'more failure')}: --failed lists them\n"] if more > 0 else []
            out.write(f"\nfailed: {causes}\n{''.join([*lines, *rest])}")


_FIRST = 5


def _write_beside(ledger: Path, form: Form, wording: Wording, folder: Path | None, overwrite: bool) -> int:
    """Write a file for each of the media; how many there are."""
    from llava_cli.batch.reading import by_file, records_of
    from llava_cli.batch.writers.sidecar import Sidecars

    count = 0
    with closing(Sidecars(form, folder, overwrite, ledger, wording)) as sidecars:
        for same in by_file(records_of(ledger)):
            count += sidecars.write([(record, True) for record in same])
    return count


def _write_table(ledger: Path, wording: Wording, target: Target) -> None:
    """Write a row for each record."""
    from llava_cli.batch.reading import records_of
    from llava_cli.batch.writers.table import CsvFile

    rows = CsvFile(target, wording)
    try:
        for record in records_of(ledger):
            rows.put([(record, True)], ())
        rows.close()
    finally:
        rows.discard()


def _write_list(
    ledger: Path, name: ListName, wording: Wording, folder: Path | None, file: Path | None, out: Output
) -> None:
    """Write a list of all files, whole or not at all."""
    from llava_cli.batch.export import captioned, common_folder, list_of
    from llava_cli.batch.reading import records_of

    files = list(captioned(records_of(ledger), wording))
    root = folder or common_folder([one.path for one in files])
    text = "".join(list_of(name, files, root.absolute()))
    target = root / "metadata.jsonl" if name == "videofolder" else file
    if target is None:
        out.write(text)
    else:
        write_file(target, text.encode())
        log.info("%s: %s", target, counted(len(files), "file"))
