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
        self._words, self._stop_ids = vocabulary.words, stop_ids
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
        forbidden = ~_unpacked(bits.to(logits.device))[:, : logits.shape[1]]
        if len(places) == len(rows):
            return logits.masked_fill(forbidden, -torch.inf)
        at = torch.tensor(places, device=logits.device)
        return logits.index_copy(0, at, logits[at].masked_fill(forbidden, -torch.inf))

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


def _unpacked(bits: torch.Tensor) -> torch.Tensor:
    """Bits [rows, words], the lowest first, as booleans [rows, 32 words]."""
    shifts = torch.arange(8, dtype=torch.uint8, device=bits.device)
    return ((bits.view(torch.uint8)[:, :, None] >> shifts) & 1).bool().flatten(1)


def _stuck(matcher: LLMatcher) -> Misshapen:
    why = first_line(ValueError(matcher.get_error())) if matcher.is_error() else "no token of the checkpoint may follow"
    return Misshapen(f"the answer cannot go on in the shape that was asked for: {why}")
