# SPDX-License-Identifier: Apache-2.0
"""Lists of files as the command line names them: files, folders, and names from a file or a pipe."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from llava_cli.cli import batch_options
from llava_cli.cli.batch import JobList, is_regular, open_list
from llava_cli.cli.help import COMMON
from llava_cli.errors import UsageError
from llava_cli.output import complain
from llava_cli.stdin import stdin_is_terminal

if TYPE_CHECKING:
    from llava_cli.batch.jobs import Item

Paths = Annotated[
    list[str] | None,
    typer.Argument(metavar="PATH...", help="Videos, images, and folders of them."),
]


@dataclass(frozen=True)
class FileOptions:
    """Which files there are besides those that are named."""

    files_from: Annotated[
        str | None,
        typer.Option("--files-from", metavar="FILE", help="Read names from FILE, or '-' for standard input."),
        COMMON,
    ] = None
    null: Annotated[
        bool, typer.Option("--null", "-0", help="Names in --files-from end with a null byte, not with a newline.")
    ] = False
    recursive: Annotated[bool, typer.Option("--recursive", "-r", help="Search folders within folders."), COMMON] = False
    ext: Annotated[
        list[str] | None,
        typer.Option(
            "--ext",
            metavar="EXT",
            help="Read only files with these extensions in folders, such as mp4,webm.",
            show_default="videos and images",
        ),
    ] = None

    def jobs(
        self,
        paths: Sequence[str] | None,
        questions: Sequence[str | None],
        selection: batch_options.ListOptions,
        example: str,
        quiet: bool = False,
    ) -> JobList:
        """A job for each file and question.

        Args:
            example: a command line that names files, for whoever names none.
            quiet: say nothing of folders that hold something only deeper down.

        Raises:
            UsageError: there are no files, or they cannot be read so.
        """
        self._check(paths, example)
        files = _Files(self, tuple(paths or ()), questions)
        if not (self.recursive or quiet):
            files.tell_of_deeper_ones()
        return JobList(files.read, self.files_from is None or is_regular(self.files_from), selection)

    def _check(self, paths: Sequence[str] | None, example: str) -> None:
        if not paths and self.files_from is None:
            raise UsageError(f"files are missing; try: {example}")
        if "-" in (paths or ()):
            raise UsageError("standard input (-) cannot be a media file here; --files-from - reads names from it")
        if self.files_from == "-" and stdin_is_terminal():
            raise UsageError("--files-from -: standard input is a terminal; pipe a list into it")
        if self.null and self.files_from is None:
            raise UsageError("--null is about the names in --files-from")


@dataclass(frozen=True)
class _Files:
    """The jobs of a command line that names files."""

    options: FileOptions
    paths: tuple[str, ...]
    questions: Sequence[str | None]

    def read(self) -> Iterable[Item]:
        from llava_cli.batch.files import caption_jobs, expand

        recursive, wanted = self.options.recursive, self._wanted
        files = (file for path in self._names() for file in expand(path, recursive, wanted))
        return caption_jobs(files, self.questions)

    def tell_of_deeper_ones(self) -> None:
        """Say of folders that hold nothing themselves where there is something."""
        from llava_cli.batch.files import expand

        for path in self.paths:
            if not any(expand(path, False, self._wanted)) and (deeper := next(expand(path, True, self._wanted), None)):
                complain(f"llava: {path}: has no video and no image itself, but {deeper} lies deeper: try -r")

    @property
    def _wanted(self) -> frozenset[str]:
        from llava_cli.batch.files import EXTENSIONS

        given = (part.strip().lstrip(".").lower() for text in self.options.ext or () for part in text.split(","))
        return frozenset(given) - {""} or EXTENSIONS

    def _names(self) -> Iterator[str]:
        from llava_cli.batch.files import names

        yield from self.paths
        if self.options.files_from is not None:
            with open_list(self.options.files_from) as stream:
                yield from names(stream, self.options.null)
