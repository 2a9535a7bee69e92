# SPDX-License-Identifier: Apache-2.0
"""A task as it is answered: records come in, and in the end there is all that it takes to report and repeat it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from llava_cli.evaluation.figures import (
    Accuracy,
    Bin,
    Outcome,
    accuracy,
    by_category,
    calibration_error,
    reliability,
)
from llava_cli.evaluation.reading import letter_meant, text_meant
from llava_cli.evaluation.task import By, Question, Style

_MODEL = ("checkpoint", "revision", "family", "dtype", "quantization", "rope_scaling", "template")
"""What of a record's model may change an answer."""
_SAMPLING = ("policy", "frames", "fps")


class Evaluation:
    """The answers to a task's questions."""

    def __init__(self, questions: Sequence[Question], style: Style, by: By) -> None:
        self.style, self.by = style, by
        self._questions = {question.id: question for question in questions}
        self.outcomes: dict[str | int, Outcome] = {}
        """By the ids of the questions."""
        self._how: dict[str, dict[str, Any]] = {
            "models": {},
            "sampling": {},
            "pixels": {},
            "system": {},
            "versions": {},
        }

    def add(self, record: Mapping[str, Any]) -> None:
        """Take the record of an answer; of several to a question, the last."""
        question = self._questions.get(record["id"])
        if question is None:
            return
        self.outcomes[question.id] = self._outcome(question, record)
        if record["status"] != "ok":
            return
        self._note("models", {key: record["model"].get(key) for key in _MODEL})
        self._note("system", record["system"])
        self._note("versions", record["versions"])
        for medium in record["media"]:
            if "sampling" in medium:
                self._note("sampling", {key: medium["sampling"][key] for key in _SAMPLING})
                self._note("pixels", medium["pixels"])

    def _outcome(self, question: Question, record: Mapping[str, Any]) -> Outcome:
        if record["status"] != "ok":
            return Outcome(question.category, right=False, failed=True)
        place = self._meant(question, record["answer"])
        if self.by == "scores":
            confidence = max(choice["probability"] for choice in record["choices"])
        else:
            confidence = record["confidence"]
        return Outcome(question.category, place == question.truth, confidence, clear=place is not None)

    def _meant(self, question: Question, answer: str) -> int | None:
        """The place of the option that an answer means."""
        if self.by == "scores":
            return question.labels(self.style).index(answer)
        return (letter_meant if self.style == "letters" else text_meant)(answer, question.options)

    def _note(self, what: str, value: Any) -> None:
        """Keep a setting, once for each value that it has had."""
        self._how[what].setdefault(json.dumps(value, sort_keys=True), value)

    @property
    def _all(self) -> list[Outcome]:
        return list(self.outcomes.values())

    @property
    def total(self) -> Accuracy:
        return accuracy(self._all)

    @property
    def categories(self) -> dict[str, Accuracy]:
        """Those that the task names; none where it names none."""
        found = by_category(self._all)
        return found if found.keys() - {""} else {}

    @property
    def bins(self) -> list[Bin]:
        return list(reliability(self._all))

    @property
    def how(self) -> dict[str, list[Any]]:
        """What has answered, and what it was shown: each as often as it differed between answers."""
        return {what: list(values.values()) for what, values in self._how.items()}

    def report(self) -> dict[str, Any]:
        """All of it as JSON."""
        bins, error = self.bins, calibration_error(self.bins)
        return {
            "schema_version": 1,
            **_accuracy(self.total),
            "failed": sum(outcome.failed for outcome in self._all),
            "unclear": sum(not outcome.clear for outcome in self._all),
            "categories": {name: _accuracy(some) for name, some in self.categories.items()},
            "reliability": [
                {"from": one.low, "to": one.high, "confidence": round(one.confidence, 4), **_accuracy(one.accuracy)}
                for one in bins
            ],
            "calibration_error": None if error is None else round(error, 4),
            **self.how,
        }


def _accuracy(found: Accuracy) -> dict[str, Any]:
    low, high = found.interval
    interval = [round(low, 4), round(high, 4)]
    return {"asked": found.asked, "right": found.right, "accuracy": round(found.share, 4), "interval": interval}
