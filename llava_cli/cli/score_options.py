# SPDX-License-Identifier: Apache-2.0
"""Options about how sure an answer is: what there is to choose from, and how likely each token was."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any

import typer

from llava_cli.cli import values
from llava_cli.engine.scores import MOST_LOGPROBS, Normalize
from llava_cli.errors import UsageError

_scores = partial(typer.Option, rich_help_panel="Scores")


@dataclass(frozen=True)
class ScoreOptions:
    """What is scored, and how. They belong to one question: no configuration sets them."""

    choices: Annotated[
        str | None,
        _scores(
            "--choices",
            metavar="A,B,...",
            parser=values.text,
            help="Answer with the likeliest of these texts, each scored as the whole answer.",
        ),
    ] = None
    choice: Annotated[
        list[str] | None,
        _scores("--choice", metavar="TEXT", help="The same for one text, which may have commas in it; repeatable."),
    ] = None
    normalize: Annotated[
        Normalize | None,
        _scores(
            "--normalize",
            metavar="none|tokens",
            parser=values.one_of(Normalize),
            help="Compare choices by the sum of their tokens' log-probabilities, or by the mean (tokens).",
            show_default="none",
        ),
    ] = None
    logprobs: Annotated[
        int | None,
        _scores(
            "--logprobs",
            metavar="K",
            parser=values.whole(0, MOST_LOGPROBS),
            help="Add to the record how likely each token of the answer was, and the K likeliest in its place.",
        ),
    ] = None

    @property
    def texts(self) -> tuple[str, ...] | None:
        """All choices."""
        if self.choices is None and not self.choice:
            return None
        return (*(() if self.choices is None else self.choices.split(",")), *(self.choice or ()))

    def asked(self, choices_to_come: bool = False) -> dict[str, Any]:
        """The same as arguments of a request.

        Args:
            choices_to_come: there may be other choices than those of the command line.

        Raises:
            UsageError: there is nothing to normalize.
        """
        if self.normalize is not None and self.texts is None and not choices_to_come:
            raise UsageError("--normalize is about how choices are compared: it needs --choices")
        return {"choices": self.texts, "normalize": self.normalize or "none", "logprobs": self.logprobs}


def percentages(choices: Any) -> str:
    """How likely some choices were, in one line: `yes 93.1 %, no 6.9 %`."""
    return ", ".join(f"{choice.text} {choice.probability:.1%}".replace("%", " %") for choice in choices)
