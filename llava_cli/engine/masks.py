# SPDX-License-Identifier: Apache-2.0
"""Answers that must have a shape: all tokens that do not go with it are out of the question, row by row."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import torch

from llava_cli.engine.constrain import Vocabulary
from llava_cli.engine.shape import Misshapen
from llava_cli.engine.types import Constraint
from llava_cli.errors import first_line

if TYPE_CHECKING:
    from llguidance import LLMatcher


_PENALTIES = torch.where((torch.arange(256)[:, None] >> torch.arange(8)) & 1 == 1, 0, -torch.inf)
"""What is added to the logits of eight tokens for each byte that says which of them may follow, the lowest bit first.

Looking these up and adding them takes a tenth of the time of unpacking bits and filling by them.
"""


class Masks:
    """What may follow in each of several answers, as they grow."""

    def __init__(
        self, vocabulary: Vocabulary, constraints: Sequence[Constraint | None], stop_ids: frozenset[int]
    ) -> None:
        """Begin.

        Args:
            constraints: for each answer, its shape; None leaves it free.
            stop_ids: the tokens that end an answer: possible only where it may end.
        """
        self.complete: set[int] = set()
        """Answers that nothing more can be said in."""
        self._words, self._stop_ids, self._penalties = vocabulary.words, stop_ids, _PENALTIES
        self._growing: dict[int, LLMatcher] = {
            row: vocabulary.matcher(constraint) for row, constraint in enumerate(constraints) if constraint is not None
        }

    def __call__(self, logits: torch.Tensor, rows: Sequence[int]) -> torch.Tensor:
        """The logits [rows, vocabulary] of these answers; those of impossible tokens are minus infinity."""
        places = [place for place, row in enumerate(rows) if row in self._growing]
        if not places:
            return logits
        bits = torch.zeros(len(places), max(self._words, -(-logits.shape[1] // 32)), dtype=torch.int32)
        for place, own in zip(places, bits, strict=True):
            self._fill(own, self._growing[rows[place]])
        self._penalties = self._penalties.to(logits.device)
        each = bits.to(logits.device).view(torch.uint8).int()
        penalties = self._penalties[each].flatten(1)[:, : logits.shape[1]]
        if len(places) == len(rows):
            return penalties.add_(logits)
        return logits.index_add(0, torch.tensor(places, device=logits.device), penalties)

    def _fill(self, bits: torch.Tensor, matcher: LLMatcher) -> None:
        """Set the bits [words] of the tokens that may follow."""
        known = bits[: self._words]
        matcher.unsafe_compute_mask_ptr(known.data_ptr(), known.nbytes)
        may_end = matcher.is_accepting()
        if matcher.is_error() or not (may_end or known.any()):
            raise _stuck(matcher)
        each = bits.view(torch.uint8)
        for number in self._stop_ids:
            place, bit = number // 8, 1 << number % 8
            if place < len(each):
                each[place] = each[place] | bit if may_end else each[place] & ~bit

    def take(self, tokens: Mapping[int, int]) -> None:
        """Go on with one more token each, by the answer's place.

        Raises:
            Misshapen: it leads nowhere.
        """
        for row, token in tokens.items():
            matcher = self._growing.get(row)
            if matcher is None:
                continue
            if token not in self._stop_ids:
                if not matcher.consume_token(token):
                    raise _stuck(matcher)
                if not matcher.is_stopped():
                    continue
                self.complete.add(row)
            del self._growing[row]


def _stuck(matcher: LLMatcher) -> Misshapen:
    why = first_line(ValueError(matcher.get_error())) if matcher.is_error() else "no token of the checkpoint may follow"
    return Misshapen(f"the answer cannot go on in the shape that was asked for: {why}")
