# SPDX-License-Identifier: Apache-2.0
"""`llava grep`: which of many files show something, by how likely the model is to say so."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Annotated, Any

import typer

from llava_cli.cli import along, batch_options, options, values
from llava_cli.cli.batch import JobList, Wanted, about, answer_all
from llava_cli.cli.endpoint_options import EndpointOptions
from llava_cli.cli.file_list import FileOptions, Paths
from llava_cli.cli.grouping import Without
from llava_cli.cli.help import COMMON
from llava_cli.errors import ExitCode, UsageError
from llava_cli.output import Output, console
from llava_cli.record import to_json
from llava_cli.words import one_line

EXAMPLES = """
Examples:

  llava grep "a dog" -r videos/

  llava grep "a dog" -r videos/ -o dogs.jsonl --sort --threshold 0.8

  llava grep "a dog" -r videos/ -o dogs.jsonl -l --invert-match

  llava grep dancing -r videos/ --question "Is somebody {}? Answer yes or no."
"""
_EXAMPLE = 'llava grep "a dog" -r videos/'
_HERE = "{}"
"""Where the pattern stands."""

_search = partial(typer.Option, rich_help_panel="Search")

Pattern = Annotated[str, typer.Argument(metavar="PATTERN", help="What is to be seen, in words: 'a dog'.")]


@dataclass(frozen=True)
class SearchOptions:
    """What is asked, and which answers count."""

    question: Annotated[
        str,
        _search("--question", metavar="TEXT", parser=values.text, help="What is asked; {} stands for PATTERN."),
    ] = "Is there {}? Answer yes or no."
    yes: Annotated[
        str, _search("--yes", metavar="TEXT", parser=values.text, help="The answer where it is seen; may hold {}.")
    ] = "Yes"
    no: Annotated[
        str, _search("--no", metavar="TEXT", parser=values.text, help="The answer where it is not; may hold {}.")
    ] = "No"
    threshold: Annotated[
        float,
        _search(
            "--threshold",
            metavar="P",
            parser=values.share,
            help="Least probability of a match.",
        ),
        COMMON,
    ] = 0.5
    invert: Annotated[bool, _search("--invert-match", "-v", help="Print files that do not match."), COMMON] = False

    def filled(self, pattern: str) -> tuple[str, tuple[str, str]]:
        """The question about a pattern, and the two answers to choose from.

        Raises:
            UsageError: the pattern is in none of them.
        """
        if not pattern.strip():
            raise UsageError("the pattern is empty")
        texts = self.question, self.yes, self.no
        if not any(_HERE in text for text in texts):
            raise UsageError("--question has no {} for the pattern")
        question, yes, no = (text.replace(_HERE, pattern.strip()) for text in texts)
        return question, (yes, no)


@dataclass
class Matches:
    """Prints the files that match, as they are found or in the end."""

    search: SearchOptions
    json: bool = False
    names: bool = False
    count: bool = False
    sort: bool = False
    found: int = 0
    _kept: list[tuple[float, str]] = field(default_factory=list)

    def see(self, record: Mapping[str, Any], out: Output) -> None:
        if record["status"] != "ok":
            return
        probability = record["choices"][0]["probability"]
        if (probability >= self.search.threshold) == self.search.invert:
            return
        self.found += 1
        line = self._line(record, probability)
        if self.sort:
            self._kept.append((probability, line))
        elif not self.count:
            out.write(line)

    def end(self, out: Output) -> None:
        if self.count:
            out.write(f"{self.found}\n")
            return
        for _, line in sorted(self._kept, key=lambda kept: kept[0], reverse=not self.search.invert):
            out.write(line)

    def _line(self, record: Mapping[str, Any], probability: float) -> str:
        if self.json:
            return to_json(dict(record)) + "\n"
        name = about(record)
        return f"{name}\n" if self.names else f"{probability:.3f}\t{name}\n"


def grep(
    pattern: Pattern,
    paths: Paths = None,
    *,
    files: FileOptions,
    search: SearchOptions,
    selection: batch_options.ListOptions,
    model: Annotated[options.ModelOptions, Without("dummy")],
    frames: options.FrameOptions,
    generation: Annotated[
        options.GenerationOptions,
        Without("raw", "max_new_tokens", "temperature", "top_p", "seed", "prompt_ids"),
    ],
    windows: Annotated[along.WindowOptions, Without("context", "summary", "summary_prompt")],
    device: options.DeviceOptions,
    batching: batch_options.BatchOptions,
    engines: batch_options.EngineOptions,
    limits: options.LimitOptions = batch_options.LIMITS,
    outputs: Annotated[batch_options.OutputOptions, Without("sidecar", "output_dir", "overwrite")],
    sort: Annotated[
        bool, typer.Option("--sort", help="Print the best match first, once all are known.", rich_help_panel="Output")
    ] = False,
    count: Annotated[
        bool, typer.Option("--count", "-c", help="Print only how many match.", rich_help_panel="Output"), COMMON
    ] = False,
    names: Annotated[
        bool,
        typer.Option(
            "--files-with-matches", "-l", help="Print names only, without probabilities.", rich_help_panel="Output"
        ),
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print the question and the files, and ask nothing.")
    ] = False,
    json: Annotated[
        bool, typer.Option("--json", help="Print the records of files that match.", rich_help_panel="Output")
    ] = False,
    quiet: options.Quiet = False,
) -> None:
    """Find the videos and images that show something.

    The model is asked a question about each file that it can answer with yes or no. A line is printed for each whose
    yes is probable enough: the probability, a tab, and the name. With --output, the answers are kept as records, and
    the same search with another --threshold reads no file again.

    Exit code 0: there is a match; 1: there is none; 3: some files could not be searched.
    """
    question, choices = search.filled(pattern)
    if json and (count or names):
        raise UsageError("--json cannot be used together with --count or --files-with-matches")
    jobs = files.jobs(paths, [question], selection, _EXAMPLE, quiet)
    if dry_run:
        _tell(question, choices, jobs, quiet)
        return
    matches = Matches(search, json, names, count, sort)
    wanted = Wanted(windows.along(), {"choices": choices}, teller=matches, some_failed=ExitCode.INPUT)
    here = EndpointOptions()
    answer_all(jobs, model, frames, generation, device, here, batching, engines, limits, outputs, quiet, wanted)
    if not matches.found:
        raise typer.Exit(ExitCode.SOME_FAILED)


def _tell(question: str, choices: tuple[str, str], jobs: JobList, quiet: bool) -> None:
    """What would be asked, about which files."""
    from llava_cli.batch.jobs import Job

    with console(quiet) as out:
        out.write(f"question: {one_line(question)}\nanswers: {' or '.join(map(one_line, choices))}\n")
        for item in jobs.read():
            if isinstance(item, Job):
                out.write(f"{one_line(item.names[0])}\n")
