# SPDX-License-Identifier: Apache-2.0
"""`llava caption`: the same questions about many files."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from llava_cli.cli import batch_options, options
from llava_cli.cli.batch import JobList, answer_all, is_regular, open_list
from llava_cli.cli.grouping import Without
from llava_cli.cli.help import COMMON
from llava_cli.cli.questions import read_questions
from llava_cli.cli.shape_options import ShapeOptions
from llava_cli.errors import UsageError
from llava_cli.output import complain
from llava_cli.stdin import stdin_is_terminal

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
    model: Annotated[options.ModelOptions, Without("dummy")],
    frames: options.FrameOptions,
    generation: options.GenerationOptions,
    shape: ShapeOptions,
    device: options.DeviceOptions,
    batching: batch_options.BatchOptions,
    limits: options.LimitOptions = batch_options.LIMITS,
    outputs: batch_options.OutputOptions,
    json: Annotated[
        bool,
        typer.Option("--json", help="Print records, also on a terminal.", rich_help_panel="Output"),
    ] = False,
    quiet: options.Quiet = False,
) -> None:
    """Describe many videos and images, or ask each the same questions.

    Without --prompt it asks "Describe this video in detail."; --prompt @FILE asks what FILE holds, --prompt - what
    standard input does. Prints an answer per file and question (into a pipe, a record), or appends records to --output;
    the same command, run again, continues where it stopped. Exit code 1: some files failed.
    """
    if files_from == "-" and "-" in (prompt or ()):
        raise UsageError("standard input (-) can be read only once")
    questions = _questions(prompt)
    if generation.raw and not prompt:
        raise UsageError("--raw needs --prompt: the whole prompt, with <video> or <image> where the file is shown")
    _check(paths, files_from, null, outputs)
    files = _Files(tuple(paths or ()), files_from, null, recursive, _extensions(ext), questions)
    if not (recursive or quiet):
        files.tell_of_deeper_ones()
    jobs = JobList(files.read, files_from is None or is_regular(files_from), selection)
    answer_all(jobs, model, frames, generation, shape, device, batching, limits, outputs, quiet, for_people=not json)


@dataclass(frozen=True)
class _Files:
    """The jobs of a command line that names files."""

    paths: tuple[str, ...]
    files_from: str | None
    null: bool
    recursive: bool
    extensions: frozenset[str] | None
    questions: list[str | None]

    def read(self) -> Iterable[Item]:
        from llava_cli.batch.files import caption_jobs, expand

        return caption_jobs(
            (file for path in self._names() for file in expand(path, self.recursive, self._wanted)), self.questions
        )

    def tell_of_deeper_ones(self) -> None:
        """Say of folders that hold nothing themselves where there is something."""
        from llava_cli.batch.files import expand

        for path in self.paths:
            if not any(expand(path, False, self._wanted)) and (deeper := next(expand(path, True, self._wanted), None)):
                complain(f"llava: {path}: has no video and no image itself, but {deeper} lies deeper: try -r")

    @property
    def _wanted(self) -> frozenset[str]:
        from llava_cli.batch.files import EXTENSIONS

        return self.extensions or EXTENSIONS

    def _names(self) -> Iterator[str]:
        from llava_cli.batch.files import names

        yield from self.paths
        if self.files_from is not None:
            with open_list(self.files_from) as stream:
                yield from names(stream, self.null)


def _questions(prompt: list[str] | None) -> list[str | None]:
    return list(dict.fromkeys(read_questions(prompt))) or [None]


def _extensions(ext: list[str] | None) -> frozenset[str] | None:
    found = frozenset(part.strip().lstrip(".").lower() for text in ext or () for part in text.split(","))
    return found - {""} or None


def _check(paths: list[str] | None, files_from: str | None, null: bool, outputs: batch_options.OutputOptions) -> None:
    if not paths and files_from is None:
        raise UsageError("files are missing; try: llava caption -r videos/ -o captions.jsonl")
    if "-" in (paths or ()):
        raise UsageError("standard input (-) cannot be a media file here; --files-from - reads names from it")
    if files_from == "-" and stdin_is_terminal():
        raise UsageError("--files-from -: standard input is a terminal; pipe a list into it")
    if null and files_from is None:
        raise UsageError("--null is about the names in --files-from")
    if outputs.output_dir is not None and outputs.sidecar is None:
        raise UsageError("--output-dir needs --sidecar")
    if outputs.overwrite and outputs.sidecar is None:
        raise UsageError("--overwrite needs --sidecar")
