# SPDX-License-Identifier: Apache-2.0
"""`llava caption`: the same questions about many files."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, BinaryIO

import typer

from llava_cli.cli import batch_options, options
from llava_cli.cli.grouping import Without
from llava_cli.cli.help import COMMON
from llava_cli.cli.work import List, work
from llava_cli.errors import InputError, UsageError
from llava_cli.output import Output, guarded_stdout

if TYPE_CHECKING:
    from llava_cli.batch.jobs import Item

EXAMPLES = """
Examples:

  llava caption -r videos/ -o captions.jsonl

  llava caption -r videos/ --sidecar txt -p "Describe it in one sentence."

  find . -name '*.mp4' -print0 | llava caption -0 --files-from - -o out.jsonl
"""

Paths = Annotated[
    list[str] | None,
    typer.Argument(metavar="PATH...", help="Videos, images, and folders of them."),
]
Prompt = Annotated[
    list[str] | None,
    typer.Option(
        "--prompt",
        "-p",
        metavar="TEXT",
        help="Ask this of each file; repeatable.",
        show_default="describe",
    ),
    COMMON,
]
FilesFrom = Annotated[
    str | None,
    typer.Option("--files-from", metavar="FILE", help="Read names from FILE, or '-' for standard input."),
    COMMON,
]
Null = Annotated[
    bool, typer.Option("--null", "-0", help="Names in --files-from end with a null byte, not with a newline.")
]
Recursive = Annotated[bool, typer.Option("--recursive", "-r", help="Search folders within folders."), COMMON]
Extensions = Annotated[
    list[str] | None,
    typer.Option(
        "--ext",
        metavar="EXT",
        help="Read only files with these extensions in folders, such as mp4,webm.",
        show_default="videos and images",
    ),
]


def caption(
    paths: Paths = None,
    prompt: Prompt = None,
    files_from: FilesFrom = None,
    null: Null = False,
    recursive: Recursive = False,
    ext: Extensions = None,
    *,
    selection: batch_options.ListOptions,
    choice: Annotated[options.ModelOptions, Without("dummy")],
    showing: options.FrameOptions,
    answering: options.GenerationOptions,
    machine: options.DeviceOptions,
    manner: batch_options.BatchOptions,
    limits: options.LimitOptions = batch_options.LIMITS,
    delivery: batch_options.OutputOptions,
    quiet: options.Quiet = False,
) -> None:
    """Describe many videos and images, or ask each the same questions.

    Without --prompt it asks "Describe this video in detail." Prints a record per file and question, or appends them
    to --output; the same command, run again, continues where it stopped. Exit code 1: some files failed.
    """
    questions = _questions(prompt)
    _check(paths, files_from, null, delivery)
    files = _Files(tuple(paths or ()), files_from, null, recursive, _extensions(ext), questions)
    jobs = List(files.read, files_from is None or _is_regular(files_from), selection)
    loading, reading = machine.load_options(), limits.for_media()
    with guarded_stdout() as stdout:
        work(jobs, choice, showing, answering, loading, delivery, manner, reading, Output(stdout, quiet))


class _Files:
    """The jobs of a command line that names files."""

    def __init__(
        self,
        paths: tuple[str, ...],
        files_from: str | None,
        null: bool,
        recursive: bool,
        extensions: frozenset[str] | None,
        questions: list[str | None],
    ) -> None:
        self._paths, self._files_from, self._null = paths, files_from, null
        self._recursive, self._extensions, self._questions = recursive, extensions, questions

    def read(self) -> Iterable[Item]:
        from llava_cli.batch.files import EXTENSIONS, caption_jobs, expand

        found = (
            file for path in self._names() for file in expand(path, self._recursive, self._extensions or EXTENSIONS)
        )
        return caption_jobs(found, self._questions)

    def _names(self) -> Iterator[str]:
        from llava_cli.batch.files import names

        yield from self._paths
        if self._files_from is not None:
            with open_list(self._files_from) as stream:
                yield from names(stream, self._null)


def open_list(name: str) -> BinaryIO:
    """A list to read from; '-' is standard input.

    Raises:
        InputError: it cannot be read.
    """
    try:
        # Not sys.stdin: a thread that is still reading it when the program ends would keep it from ending.
        return os.fdopen(os.dup(0), "rb") if name == "-" else open(name, "rb")  # noqa: PTH123
    except (OSError, ValueError) as error:
        raise InputError(f"{name}: cannot be read: {getattr(error, 'strerror', None) or error}") from error


def _is_regular(name: str) -> bool:
    return name != "-" and Path(name).is_file()


def _questions(prompt: list[str] | None) -> list[str | None]:
    if prompt and not all(text.strip() for text in prompt):
        raise UsageError("the question is empty")
    return list(dict.fromkeys(prompt)) if prompt else [None]


def _extensions(ext: list[str] | None) -> frozenset[str] | None:
    found = frozenset(part.strip().lstrip(".").lower() for text in ext or () for part in text.split(","))
    return found - {""} or None


def _check(paths: list[str] | None, files_from: str | None, null: bool, delivery: batch_options.OutputOptions) -> None:
    if not paths and files_from is None:
        raise UsageError("files are missing; try: llava caption -r videos/ -o captions.jsonl")
    if "-" in (paths or ()):
        raise UsageError("standard input (-) is no file here; --files-from - reads names from it")
    if files_from == "-" and sys.stdin is not None and sys.stdin.isatty():
        raise UsageError("--files-from -: standard input is a terminal; pipe a list into it")
    if null and files_from is None:
        raise UsageError("--null is about the names in --files-from")
    if delivery.output_dir is not None and delivery.sidecar is None:
        raise UsageError("--output-dir needs --sidecar")
