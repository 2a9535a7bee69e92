# SPDX-License-Identifier: Apache-2.0
"""Running the language model: greedy or sampled, one prompt or a left-padded batch, token by token."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from transformers import (
    Cache,
    DynamicCache,
    GenerationConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
    TemperatureLogitsWarper,
    TopPLogitsWarper,
)

from llava_cli.engine import watching
from llava_cli.engine.masks import Masks
from llava_cli.engine.scores import ScoredToken
from llava_cli.engine.static import StaticDecoder, Step
from llava_cli.engine.types import Generation
from llava_cli.progress import Progress, no_progress, stage
from llava_cli.words import counted


class Senseless(Exception):
    """What a model says of the next token is no numbers, or the same of all."""


@dataclass(frozen=True)
class Token:
    """What comes next in an answer, and how likely it was, whatever the sampling made of that."""

    id: int
    logprob: float
    best: tuple[tuple[int, float], ...] = ()
    """The likeliest tokens, best first, each with its log-probability."""


@dataclass(frozen=True)
class Prefilled:
    """What a model knows of some prompts when all of their tokens have been run."""

    cache: Cache
    mask: torch.Tensor
    """The attention mask [prompts, tokens]."""
    positions: torch.Tensor
    """Of the last tokens [prompts, 1]."""
    logits: torch.Tensor
    """Of what comes next [prompts, vocabulary]."""


def take_over(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> frozenset[int]:
    """The ids that end an answer; after this, no other setting of the checkpoint's own reaches generation.

    Checkpoints bring sampling settings of their language model's makers; only what the user asked for counts here.
    """
    own = [model.generation_config.eos_token_id, model.config.get_text_config().eos_token_id, tokenizer.eos_token_id]
    model.generation_config = GenerationConfig()
    flat = [i for ids in own for i in (ids if isinstance(ids, list) else [ids])]
    return frozenset(i for i in flat if i is not None)


@torch.inference_mode()
def next_tokens(
    model: PreTrainedModel,
    embeddings: Sequence[torch.Tensor],
    generation: Generation,
    stop_ids: frozenset[int],
    cache: Cache | None = None,
    decoder: StaticDecoder | None = None,
    keep: bool = False,
    progress: Progress = no_progress,
    best: int = 0,
    masks: Masks | None = None,
) -> Iterator[dict[int, Token]]:
    """The next tokens, one step after the other until all answers have ended: for each prompt whose answer goes on, by
    its place.

    An answer ends with a stop token, with its last allowed one, or where its shape has it complete.

    Raises:
        Senseless: the model prefers no token to others.
        Misshapen: an answer cannot go on in its shape.

    Args:
        embeddings: of each prompt [tokens, hidden size].
        cache: keys and values of what all prompts begin with, for as many prompts. It is extended in place.
        decoder: recorded steps, where the machine has them.
        keep: have the cache hold all tokens but the last in the end, for what follows.
        progress: told how far the prefill is, and then the answer.
        best: how many of the likeliest tokens are told of each.
        masks: which tokens are possible, where answers are to have shapes.
    """
    choose = _chooser(generation, model.device)
    running = set(range(len(embeddings)))
    prompts = prefill(model, embeddings, cache, progress)
    growing, most = _Growing(model, prompts.cache, prompts.mask, prompts.positions), generation.max_new_tokens
    with (
        _recorded(growing, most, decoder, keep) as following,
        stage(progress, f"answering, at most {counted(most, 'token')}", most) as told,
    ):
        logits, rows = prompts.logits, list(range(len(embeddings)))
        for step in range(1, most + 1):
            logits = logits.float()
            fine = usable(logits)
            possible = logits if masks is None else masks(logits, rows)
            chosen = choose(possible.where(fine[:, None], 0))
            tokens = dict(zip(rows, _told(logits, chosen, fine, best), strict=True))
            if masks is not None:
                masks.take({row: tokens[row].id for row in running})
            told(step)
            yield {row: tokens[row] for row in sorted(running)}
            complete = set() if masks is None else masks.complete
            running = {row for row in running if tokens[row].id not in stop_ids and row not in complete}
            if step == most or not running:
                return
            # A sampled answer must not depend on when others end.
            if following is growing and len(running) < len(rows) and not generation.do_sample:
                going_on = torch.tensor([place for place, row in enumerate(rows) if row in running])
                growing.select(going_on)
                chosen, rows = chosen[going_on], sorted(running)
            logits = following(chosen)


def prefill(
    model: PreTrainedModel,
    embeddings: Sequence[torch.Tensor],
    cache: Cache | None = None,
    progress: Progress = no_progress,
) -> Prefilled:
    """Run prompts, left-padded, but for what the cache holds of them. See `next_tokens`."""
    cache = DynamicCache(config=model.config.get_text_config()) if cache is None else cache
    known = cache.get_seq_length()
    batch, mask = _pad_left(embeddings, known)
    positions = (mask.cumsum(-1) - 1).clamp(min=0)
    with watching.prefill(model, int(mask[:, known:].sum()), progress):
        output = model(
            inputs_embeds=batch[:, known:],
            attention_mask=mask,
            position_ids=positions[:, known:],
            past_key_values=cache,
            use_cache=True,
            logits_to_keep=1,
        )
    return Prefilled(cache, mask, positions[:, -1:], output.logits[:, -1])


class _Growing:
    """Steps over keys and values that grow. Answers that have ended leave, and cost no more."""

    def __init__(self, model: PreTrainedModel, cache: Cache, mask: torch.Tensor, positions: torch.Tensor) -> None:
        """`positions`: of the last tokens [prompts, 1]."""
        self.model, self.cache, self.mask, self.positions = model, cache, mask, positions

    def __call__(self, tokens: torch.Tensor) -> torch.Tensor:
        """The logits [prompts, vocabulary] after one more token [prompts] each."""
        self.mask = torch.cat([self.mask, self.mask.new_ones(len(self.mask), 1)], dim=1)
        self.positions = self.positions + 1
        output = self.model(
            input_ids=tokens[:, None],
            attention_mask=self.mask,
            position_ids=self.positions,
            past_key_values=self.cache,
            use_cache=True,
            logits_to_keep=1,
        )
        return output.logits[:, -1]

    def select(self, places: torch.Tensor) -> None:
        """Go on with the prompts in these places alone."""
        self.cache.batch_select_indices(places)
        self.mask, self.positions = self.mask[places], self.positions[places]


@contextmanager
def _recorded(
    growing: _Growing, new_tokens: int, decoder: StaticDecoder | None, keep: bool
) -> Iterator[_Growing | Step]:
    """The same steps, recorded, where there are such for these prompts; if `keep`, the cache is whole in the end."""
    prompts, tokens = growing.mask.shape
    step = None if decoder is None or new_tokens == 1 else decoder.step(prompts, tokens + new_tokens)
    if step is None:
        yield growing
        return
    step.fill(growing.cache, growing.mask, growing.positions)
    try:
        yield step
    finally:
        if keep:
            step.give_back(growing.cache, prompts)


def _told(logits: torch.Tensor, chosen: torch.Tensor, fine: torch.Tensor, best: int) -> list[Token]:
    """The chosen tokens [prompts] with their log-probabilities.

    Raises:
        Senseless: not all prompts' logits [prompts, vocabulary] are fine.
    """
    total = logits.logsumexp(-1)
    logprobs = logits.gather(-1, chosen[:, None])[:, 0] - total
    # One wait for the device; float32 holds every id of a vocabulary exactly.
    ids, alright, scores = torch.stack([chosen.float(), fine.float(), logprobs]).tolist()
    if not all(alright):
        raise Senseless
    if not best:
        return [Token(int(number), score) for number, score in zip(ids, scores, strict=True)]
    values, places = logits.topk(min(best, logits.shape[-1]))
    likeliest = torch.stack([places.float(), values - total[:, None]], dim=-1).tolist()
    return [
        Token(int(number), score, tuple((int(place), value) for place, value in row))
        for number, score, row in zip(ids, scores, likeliest, strict=True)
    ]


def usable(logits: torch.Tensor) -> torch.Tensor:
    """Which prompts' logits [prompts, vocabulary] are numbers, and not all the same: [prompts]."""
    least, most = logits.aminmax(dim=-1)
    spread = most - least  # not a number, or infinite, if any of them is
    return (spread > 0) & (spread < torch.inf)


def _chooser(generation: Generation, device: torch.device) -> Callable[[torch.Tensor], torch.Tensor]:
    """How the next tokens [prompts] follow from their logits [prompts, vocabulary]."""
    if not generation.do_sample:
        return lambda logits: logits.argmax(-1)
    warpers = [TemperatureLogitsWarper(generation.temperature)]
    if generation.top_p is not None and generation.top_p < 1:
        warpers.append(TopPLogitsWarper(generation.top_p))
    random = torch.Generator(device)
    if generation.seed is None:
        random.seed()
    else:
        random.manual_seed(generation.seed)

    def sample(logits: torch.Tensor) -> torch.Tensor:
        for warp in warpers:
            logits = warp(None, logits)
        return torch.multinomial(logits.softmax(-1), 1, generator=random)[:, 0]

    return sample


def _pad_left(embeddings: Sequence[torch.Tensor], shared: int) -> tuple[torch.Tensor, torch.Tensor]:
    """A batch [prompts, longest, hidden size] and its attention mask [prompts, longest].

    The padding comes before each prompt, or after the `shared` tokens that all begin with.
    """
    longest = max(len(rows) for rows in embeddings)
    batch = embeddings[0].new_zeros(len(embeddings), longest, embeddings[0].shape[-1])
    mask = torch.zeros(len(embeddings), longest, dtype=torch.long, device=batch.device)
    for i, rows in enumerate(embeddings):
        own = longest - len(rows) + shared
        batch[i, :shared], batch[i, own:] = rows[:shared], rows[shared:]
        mask[i, :shared] = mask[i, own:] = 1
    return batch, mask


def decode(tokenizer: PreTrainedTokenizerBase, ids: Sequence[int]) -> str:
    """The text of an answer."""
    return str(tokenizer.decode(ids, skip_special_tokens=True, clean_up_tokenization_spaces=False)).strip()


def scored(tokenizer: PreTrainedTokenizerBase, said: Sequence[Token], best: int) -> tuple[ScoredToken, ...]:
    """The tokens of an answer with their texts, and so many of the likeliest in the place of each."""
    # Tokenizers leave the space before a word away where it is the first.
    before = tokenizer("a", add_special_tokens=False).input_ids

    def text(number: int) -> str:
        first, both = (tokenizer.decode(ids, clean_up_tokenization_spaces=False) for ids in (before, [*before, number]))
        return str(both).removeprefix(str(first))

    def one(number: int, logprob: float, others: tuple[ScoredToken, ...] = ()) -> ScoredToken:
        return ScoredToken(number, text(number), logprob, others)

    return tuple(one(token.id, token.logprob, tuple(one(*other) for other in token.best[:best])) for token in said)


class TextStream:
    """The text of an answer as its tokens come. The pieces joined are exactly the answer.

    A character that is made of several tokens waits for the last of them, white space for what follows it: the answer
    may end there.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase) -> None:
        self._tokenizer = tokenizer
        self._ids: list[int] = []
        self._shown = ""

    def put(self, token: int) -> str:
        """What can be shown once this token has come."""
        self._ids.append(token)
        return self._new(decode(self._tokenizer, self._ids).rstrip("\ufffd"))

    def end(self) -> str:
        """What is left when the answer has ended."""
        return self._new(decode(self._tokenizer, self._ids))

    def _new(self, text: str) -> str:
        if not text.startswith(self._shown):
            return ""
        piece, self._shown = text[len(self._shown) :], text
        return piece
