# SPDX-License-Identifier: Apache-2.0
"""Decoding over caches of fixed size: each step is the same work on the same memory, so that a GPU can replay it.

A step of a large checkpoint is a few thousand kernels, and starting them one by one from Python takes longer than
running them. They are recorded once, in a CUDA graph for a number of prompts and a length of the cache, and replayed
for every token from then on. Numbers of prompts and lengths are rounded up, so that few recordings serve all.
"""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Sequence
from typing import Any

import torch
from transformers import Cache, PreTrainedModel, StaticCache

from llava_cli.errors import first_line

log = logging.getLogger(__name__)

BATCHES = (1, 2, 4, 8)
"""Numbers of prompts that steps are recorded for; larger batches keep a GPU busy without."""
LENGTH_UNIT = 512
"""Tokens that the length of a cache is rounded up to."""
_KEPT = 2
"""Recordings that stay, each with its cache."""
_WARM_UPS = 2
"""Runs before a recording: libraries choose their kernels and take their memory in the first."""


class Step:
    """One token for each of so many prompts, over a cache of so many places. Its memory never moves."""

    def __init__(self, model: PreTrainedModel, batch: int, length: int) -> None:
        device = model.device
        self.batch, self.length = batch, length
        self._model = model
        self._cache = StaticCache(config=model.config.get_text_config(), max_cache_len=length)
        self._tokens = torch.zeros(batch, 1, dtype=torch.long, device=device)
        self._positions = torch.zeros(batch, 1, dtype=torch.long, device=device)
        self._place = torch.zeros(1, dtype=torch.long, device=device)
        """Where in the cache the next token goes."""
        self._mask = torch.zeros(batch, 1, 1, length, dtype=torch.bool, device=device)
        self._logits: torch.Tensor
        self._graph: torch.cuda.CUDAGraph | None = None
        self._look_at_the_first()
        self._run()  # gives the cache its memory
        self._restart()
        if device.type == "cuda":
            self._record()

    def fill(self, states: Cache, mask: torch.Tensor, positions: torch.Tensor) -> None:
        """Take over keys and values of the prompts, layer by layer, so that they are never there twice.

        Args:
            states: of as many prompts as the mask has rows; left empty.
            mask: the attention mask [prompts, tokens].
            positions: of the last tokens [prompts, 1].
        """
        prompts, tokens = mask.shape
        for own, given in zip(self._cache.layers, states.layers, strict=True):
            own.keys[:prompts, :, :tokens].copy_(given.keys)
            own.values[:prompts, :, :tokens].copy_(given.values)
            own.cumulative_length.fill_(tokens)
            given.keys, given.values = given.keys.new_empty(0), given.values.new_empty(0)
        self._look_at_the_first()
        self._mask[:prompts, 0, 0, :tokens] = mask.bool()
        self._positions.zero_()
        self._positions[:prompts] = positions
        self._place.fill_(tokens)

    def __call__(self, tokens: torch.Tensor) -> torch.Tensor:
        """The logits [prompts, vocabulary] after one more token [prompts] each."""
        self._tokens[: len(tokens), 0] = tokens
        self._positions.add_(1)
        self._mask.index_fill_(3, self._place, value=True)
        if self._graph is None:
            self._run()
        else:
            self._graph.replay()
        self._place.add_(1)
        return self._logits[: len(tokens)]

    def give_back(self, states: Cache, prompts: int) -> None:
        """Put keys and values of all tokens so far where those of the prompts came from."""
        tokens = int(self._place)
        for own, given in zip(self._cache.layers, states.layers, strict=True):
            given.keys = own.keys[:prompts, :, :tokens].clone()
            given.values = own.values[:prompts, :, :tokens].clone()

    def _run(self) -> None:
        output = self._model(
            input_ids=self._tokens,
            attention_mask=self._mask,
            position_ids=self._positions,
            past_key_values=self._cache,
            use_cache=True,
            logits_to_keep=1,
        )
        self._logits = output.logits[:, -1]

    def _record(self) -> None:
        """Record a step as a graph, on a stream of its own as graphs demand."""
        stream = torch.cuda.Stream()  # type: ignore[no-untyped-call]
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            for _ in range(_WARM_UPS):
                self._restart()
                self._run()
        torch.cuda.current_stream().wait_stream(stream)
        self._restart()
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            self._run()
        self._graph = graph

    def _look_at_the_first(self) -> None:
        """Attention over nothing would be no number, and would stay in rows that have no prompt."""
        self._mask.zero_()
        self._mask[..., 0] = True

    def _restart(self) -> None:
        for layer in self._cache.layers:
            layer.cumulative_length.zero_()


class StaticDecoder:
    """The steps of one model, recorded as they are needed."""

    def __init__(self, model: PreTrainedModel) -> None:
        self._model = model
        self._steps: OrderedDict[tuple[int, int], Step] = OrderedDict()
        self._usable = can_be_static(model)

    def step(self, prompts: int, tokens: int) -> Step | None:
        """A step for so many prompts whose caches hold up to so many tokens; None where there is none to be had."""
        if not self._usable or prompts > BATCHES[-1]:
            return None
        batch = next(size for size in BATCHES if size >= prompts)
        length = -(-tokens // LENGTH_UNIT) * LENGTH_UNIT
        found = self._steps.pop((batch, length), None) or self._new(batch, length)
        if found is not None:
            self._steps[batch, length] = found
        return found

    def _new(self, batch: int, length: int) -> Step | None:
        while len(self._steps) >= _KEPT:
            self._steps.popitem(last=False)
        try:
            return Step(self._model, batch, length)
        except torch.OutOfMemoryError:
            self._steps.clear()
            return None
        except Exception as error:  # whatever a driver, a kernel or a quantized layer does not like about it
            log.warning("steps cannot be recorded on this GPU, which makes answers slower: %s", first_line(error))
            self._usable = False
            return None


def can_be_static(model: Any) -> bool:
    """Whether attention over a cache of fixed size is the same as over one that grows."""
    text = model.config.get_text_config()
    kinds: Sequence[str] = getattr(text, "layer_types", None) or ["full_attention"]
    return set(kinds) == {"full_attention"} and text._attn_implementation == "sdpa"
