# SPDX-License-Identifier: Apache-2.0
"""Running the language model: greedy or sampled, one prompt or a left-padded batch, streamed or not."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from transformers import GenerationConfig
from transformers.generation.streamers import BaseStreamer

from llava_cli.engine.types import Generation

if TYPE_CHECKING:
    import torch
    from transformers import Cache, PreTrainedModel, PreTrainedTokenizerBase


@dataclass(frozen=True)
class Run:
    """What came of one call."""

    ids: list[list[int]]
    """New token ids of each prompt, ending with the stop token where one came."""
    first_token_s: float
    total_s: float


def take_over(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> frozenset[int]:
    """The ids that end an answer; after this, no other setting of the checkpoint's own reaches generation.

    Checkpoints bring sampling settings of their language model's makers; only what the user asked for counts here.
    """
    own = [model.generation_config.eos_token_id, model.config.get_text_config().eos_token_id, tokenizer.eos_token_id]
    model.generation_config = GenerationConfig()
    flat = [i for ids in own for i in (ids if isinstance(ids, list) else [ids])]
    return frozenset(i for i in flat if i is not None)


def run(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    stop_ids: frozenset[int],
    embeddings: Sequence[torch.Tensor],
    generation: Generation,
    on_text: Callable[[str], None] | None = None,
    cache: Cache | None = None,
    stop: Callable[[], bool] | None = None,
) -> Run:
    """Generate after each prompt.

    Args:
        embeddings: of each prompt [tokens, hidden size].
        cache: keys and values of what all prompts begin with, for as many prompts. It is extended in place.
        stop: asked after each token; once it says yes, nothing more is generated.
    """
    import torch

    if generation.seed is not None:
        torch.manual_seed(generation.seed)
    watch = _Watch(tokenizer, stop_ids, on_text)
    batch, mask = _pad_left(embeddings, 0 if cache is None else cache.get_seq_length())
    output = model.generate(
        inputs_embeds=batch,
        attention_mask=mask,
        past_key_values=cache,
        generation_config=_config(generation, stop_ids),
        # Streamers see one sequence only; a batch's first token is not told apart.
        streamer=watch if len(embeddings) == 1 else None,
        stopping_criteria=None if stop is None else [_when(stop)],
    )
    total = time.perf_counter() - watch.started
    ids = [_until_stop(row, stop_ids) for row in output.tolist()]
    return Run(ids, watch.first_token_s or total, total)


def _pad_left(embeddings: Sequence[torch.Tensor], shared: int) -> tuple[torch.Tensor, torch.Tensor]:
    """A batch [prompts, longest, hidden size] and its attention mask [prompts, longest].

    The padding comes before each prompt, or after the `shared` tokens that all begin with.
    """
    import torch

    longest = max(len(rows) for rows in embeddings)
    batch = embeddings[0].new_zeros(len(embeddings), longest, embeddings[0].shape[-1])
    mask = torch.zeros(len(embeddings), longest, dtype=torch.long, device=batch.device)
    for i, rows in enumerate(embeddings):
        own = longest - len(rows) + shared
        batch[i, :shared], batch[i, own:] = rows[:shared], rows[shared:]
        mask[i, :shared] = mask[i, own:] = 1
    return batch, mask


def _config(generation: Generation, stop_ids: frozenset[int]) -> GenerationConfig:
    stops = sorted(stop_ids)
    sampling = (
        {"do_sample": True, "temperature": generation.temperature, "top_p": generation.top_p or 1.0, "top_k": 0}
        if generation.do_sample
        else {"do_sample": False}
    )
    return GenerationConfig(
        max_new_tokens=generation.max_new_tokens,
        eos_token_id=stops or None,
        pad_token_id=stops[0] if stops else 0,
        use_cache=True,
        **sampling,
    )


def _when(stop: Callable[[], bool]) -> Callable[..., torch.Tensor]:
    """A stopping criterion in the library's form."""

    def criterion(input_ids: torch.Tensor, scores: object, **_: object) -> torch.Tensor:
        import torch

        return torch.full((len(input_ids),), stop(), dtype=torch.bool, device=input_ids.device)

    return criterion


def _until_stop(ids: list[int], stop_ids: frozenset[int]) -> list[int]:
    """A row of a batch up to and with its first stop token: after it comes padding."""
    end = next((i + 1 for i, token in enumerate(ids) if token in stop_ids), len(ids))
    return ids[:end]


def decode(tokenizer: PreTrainedTokenizerBase, ids: Sequence[int]) -> str:
    """The text of an answer."""
    return str(tokenizer.decode(ids, skip_special_tokens=True, clean_up_tokenization_spaces=False)).strip()


class _Watch(BaseStreamer):
    """Sees every token of a single prompt's answer: notes when the first came, and passes the text on.

    The pieces joined are exactly the answer: a piece is passed on once the next one begins, so that a character made
    of several tokens is never torn, nor the white space at the end shown.
    """

    def __init__(
        self, tokenizer: PreTrainedTokenizerBase, stop_ids: frozenset[int], on_text: Callable[[str], None] | None
    ) -> None:
        self.started = time.perf_counter()
        self.first_token_s: float | None = None
        self._tokenizer = tokenizer
        self._stop_ids = stop_ids
        self._on_text = on_text
        self._ids: list[int] = []
        self._shown = 0

    def put(self, value: torch.Tensor) -> None:
        new = value.flatten().tolist()
        if not new:  # the prompt, given as embeddings, has no ids
            return
        if self.first_token_s is None:
            self.first_token_s = time.perf_counter() - self.started
        if self._on_text is not None:
            self._ids += [token for token in new if token not in self._stop_ids]
            text = decode(self._tokenizer, self._ids)
            self._show(text[: text.rfind(" ") + 1])

    def end(self) -> None:
        if self._on_text is not None:
            self._show(decode(self._tokenizer, self._ids))

    def _show(self, text: str) -> None:
        if len(text) > self._shown and self._on_text is not None:
            self._on_text(text[self._shown :])
            self._shown = len(text)
