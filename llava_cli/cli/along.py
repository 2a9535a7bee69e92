# SPDX-License-Identifier: Apache-2.0
"""Options about the time of videos: windows, subtitles, summaries, and how captions are made of answers."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from llava_cli.batch.writers.forms import Timed
from llava_cli.captions import Wording
from llava_cli.cli import values
from llava_cli.cli.help import COMMON
from llava_cli.cues import Cue, read_cues, within
from llava_cli.errors import UsageError
from llava_cli.media.windows import Division
from llava_cli.preface import SUM_UP

if TYPE_CHECKING:
    from llava_cli.batch.windows import Along

_windows = partial(typer.Option, rich_help_panel="Windows")
_captions = partial(typer.Option, rich_help_panel="Captions")


@dataclass(frozen=True)
class WindowOptions:
    """How videos become windows, and what is asked about them besides."""

    every: Annotated[
        float | None,
        _windows(
            "--every",
            metavar="TIME",
            parser=values.duration,
            help="Ask each window of TIME (30s, 5m) by itself.",
        ),
        COMMON,
    ] = None
    overlap: Annotated[
        float,
        _windows(
            "--overlap",
            metavar="TIME",
            parser=values.duration,
            help="Have windows go on into the next one for TIME.",
            show_default=False,
        ),
    ] = 0.0
    scenes: Annotated[
        bool,
        _windows("--scenes", help="Divide videos at their cuts instead; needs pip install 'llava-cli[scenes]'."),
    ] = False
    max_window: Annotated[
        float | None,
        _windows(
            "--max-window", metavar="TIME", parser=values.duration, help="Divide scenes that are longer than TIME."
        ),
    ] = None
    context: Annotated[
        str | None,
        _windows(
            "--context",
            metavar="FILE",
            help="Subtitles (SRT, WebVTT): the cues of what is shown stand before the question.",
        ),
    ] = None
    summary: Annotated[
        bool,
        _windows("--summary", help="Ask once more, about all windows' answers, for an answer about the whole video."),
    ] = False
    summary_prompt: Annotated[
        str | None,
        _windows(
            "--summary-prompt",
            metavar="TEXT",
            parser=values.text,
            help="What --summary asks.",
            show_default="sum up the video",
        ),
    ] = None

    @property
    def division(self) -> Division:
        """How videos become windows.

        Raises:
            UsageError: the options contradict each other, or what finds scenes is not installed.
        """
        from llava_cli.extras import need

        if self.scenes:
            need("scenedetect", "scenes")
        return Division(self.every, self.overlap, self.scenes, self.max_window)

    @property
    def wants_summary(self) -> bool:
        """Whether the windows' answers are put to the checkpoint once more."""
        return self.summary or self.summary_prompt is not None

    def along(self, titles: bool = False, summary: bool = False, question: str | None = SUM_UP) -> Along:
        """The same in the terms of a batch.

        Args:
            titles: windows are asked for titles too.
            summary: there is one, whether an option says so or not.
            question: what it asks where no option says it; None asks what the windows were asked.

        Raises:
            UsageError: the options contradict each other.
        """
        from llava_cli.batch.windows import Along

        wanted = summary or self.wants_summary
        return Along(self.division, self.context, titles, wanted, self.summary_prompt or question)

    def cues(self, start: float | None, end: float | None) -> tuple[Cue, ...]:
        """The subtitles of what is shown between these times, where there are no windows.

        Raises:
            InputError: they cannot be read.
        """
        return () if self.context is None else within(read_cues(Path(self.context)), start, end)


@dataclass(frozen=True)
class WordingOptions:
    """How captions are made of answers."""

    prefix: Annotated[
        str, _captions("--prefix", metavar="TEXT", parser=values.text, help="Begin captions with TEXT: a trigger word.")
    ] = ""
    suffix: Annotated[
        str, _captions("--suffix", metavar="TEXT", parser=values.text, help="End captions with TEXT.")
    ] = ""
    max_words: Annotated[
        int | None,
        _captions(
            "--max-words",
            metavar="N",
            parser=values.whole(1),
            help="Cut captions to N words, at the end of a sentence.",
        ),
    ] = None
    max_sentences: Annotated[
        int | None,
        _captions("--max-sentences", metavar="N", parser=values.whole(1), help="Cut captions to N sentences."),
    ] = None
    clean: Annotated[bool, _captions("--clean", help="Drop openings such as 'The video shows' from captions.")] = False

    def wording(self) -> Wording:
        """The same in the terms of a request."""
        return Wording(self.prefix, self.suffix, self.max_words, self.max_sentences, self.clean)


RetryLoops = Annotated[
    bool,
    _captions("--retry-loops", help="Ask once more, with sampling, where an answer repeats itself."),
]


TextName = Literal["txt", "csv", Timed]
FormatName = Literal["jsonl", TextName]
Format = Annotated[
    FormatName | None,
    typer.Option(
        "--format",
        metavar="FORMAT",
        parser=values.one_of(FormatName),
        help="What is printed, or written to --output: records (jsonl), captions (txt), a table (csv), subtitles "
        "(srt), descriptions (vtt), chapters (chapters: WebVTT, ffmetadata).",
        show_default="jsonl",
        rich_help_panel="Output",
    ),
]


def form_of(format: FormatName | None, json: bool) -> TextName | None:
    """The form of what is printed, where it is no records.

    Raises:
        UsageError: both are wanted.
    """
    if json and format not in (None, "jsonl"):
        raise UsageError(f"--json and --format {format} cannot be used together")
    return None if format == "jsonl" else format
