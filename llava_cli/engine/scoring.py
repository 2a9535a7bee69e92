# SPDX-License-Identifier: Apache-2.0
"""How likely whole answers are: all answers to all prompts in one pass over the keys and values of the prompts.

The answers to a prompt stand behind each other in its row, and a mask keeps them apart: each sees the prompt and
itself. Keys and values of prompts are by far the most that there is, and are there only once.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from transformers import PreTrainedModel

from llava_cli.engine.generate import Prefilled, Senseless, usable
from llava_cli.engine.scores import mean_probability
from llava_cli.engine.static import can_be_static
from llava_cli.engine.types import Completion, Query, Timing
from llava_cli.models.prompt import Prompt

Ids = Sequence[int]


@torch.inference_mode()
def score(
    model: PreTrainedModel, prefilled: Prefilled, answers: Sequence[Sequence[Ids]], stop_ids: frozenset[int]
) -> list[list[list[float]]]:
    """The log-probabilities of answers, token by token: the last is that of the end, which is any stop token.

    Args:
        prefilled: the prompts; it is afterwards as it was before.
        answers: for each prompt its answers, as many and as long as they are.

    Raises:
        Senseless: the model prefers no token to others.
    """
    # Where no mask of our own can be used, the first answers to all prompts go together, then the second ones.
    rounds = range(max(map(len, answers)))
    passes = [slice(None)] if can_be_static(model) else [slice(number, number + 1) for number in rounds]
    found: list[list[list[float]]] = [[] for _ in answers]
    for some in passes:
        for row, scored in zip(found, _pass(model, prefilled, [row[some] for row in answers], stop_ids), strict=True):
            row += scored
    return found


def _pass(
    model: PreTrainedModel, prefilled: Prefilled, answers: Sequence[Sequence[Ids]], stop_ids: frozenset[int]
) -> Iterator[list[list[float]]]:
    """The same of answers that are run together."""
    tokens, depths, owners = (_padded(rows).to(model.device) for rows in _rows(answers))
    output = model(
        input_ids=tokens.clamp(min=0),
        attention_mask=_mask(model, prefilled.mask, owners),
        position_ids=prefilled.positions + 1 + depths.clamp(min=0),
        past_key_values=prefilled.cache,
        use_cache=True,
    )
    prefilled.cache.crop(-tokens.shape[1])
    stops = torch.tensor(sorted(stop_ids), device=model.device)
    for row, logits, first in zip(answers, output.logits, prefilled.logits, strict=True):
        yield _scored(row, first.float(), logits.float(), stops)


def _rows(answers: Sequence[Sequence[Ids]]) -> tuple[list[list[int]], ...]:
    """For each prompt the tokens of its answers behind each other, the place of each in its answer, and whose it is."""
    tokens = [[token for ids in row for token in ids] for row in answers]
    depths = [[depth for ids in row for depth in range(len(ids))] for row in answers]
    owners = [[number for number, ids in enumerate(row) for _ in ids] for row in answers]
    return tokens, depths, owners


def _padded(rows: Sequence[Ids]) -> torch.Tensor:
    """[rows, longest], with -1 behind shorter ones; at least one column."""
    longest = max(1, *map(len, rows))
    return torch.tensor([[*row, *[-1] * (longest - len(row))] for row in rows])


def _mask(model: PreTrainedModel, prompts: torch.Tensor, owners: torch.Tensor) -> torch.Tensor:
    """What each token of the answers sees: [prompts, 1, tokens, all tokens]; or, for one answer each, which there are.

    Args:
        prompts: the attention mask of the prompts [prompts, tokens].
        owners: which answer each token is of [prompts, tokens]; -1 for padding.
    """
    if not can_be_static(model):
        return torch.cat([prompts, (owners >= 0).to(prompts)], dim=1)
    count = owners.shape[1]
    causal = torch.ones(count, count, dtype=torch.bool, device=owners.device).tril()
    own = (owners[:, :, None] == owners[:, None, :]) & causal
    before = prompts.bool()[:, None, :].expand(-1, count, -1)
    return torch.cat([before, own], dim=2)[:, None]


def _scored(row: Sequence[Ids], first: torch.Tensor, logits: torch.Tensor, stops: torch.Tensor) -> list[list[float]]:
    """The log-probabilities of one prompt's answers.

    Args:
        first: what the model says after the prompt [vocabulary].
        logits: what it says after each token of the answers [tokens, vocabulary].
    """
    tokens = sum(map(len, row))
    said = torch.cat([first[None], logits[:tokens]])
    if not bool(usable(said).all()):
        raise Senseless
    logprobs = said.log_softmax(-1)
    found, start = [], 1
    for ids in row:
        after = logprobs[start : start + len(ids)]
        own = torch.cat([logprobs[:1], after[:-1]]).gather(-1, torch.tensor(ids, device=said.device)[:, None])[:, 0]
        end = after[-1, stops].logsumexp(-1, keepdim=True) if len(stops) else after.new_zeros(1)
        found.append(torch.cat([own, end]).tolist())
        start += len(ids)
    return found


def chosen(
    query: Query, prompt: Prompt, answers: Sequence[Sequence[int]], logprobs: Sequence[Sequence[float]], timing: Timing
) -> Completion:
    """The likeliest of a query's choices, which have these token ids and log-probabilities."""
    if query.choices is None:
        raise ValueError("there is nothing to choose from")
    choices = query.choices.scored(logprobs)
    best = max(range(len(choices)), key=lambda place: choices[place].probability)
    return Completion(
        text=choices[best].text,
        finish_reason="stop",
        media=prompt.media,
        visual_tokens=prompt.visual_tokens,
        prompt_tokens=len(prompt.ids),
        completion_tokens=len(answers[best]),
        template=prompt.template,
        timing=timing,
        ids=tuple(answers[best]),
        confidence=mean_probability(logprobs[best]),
        choices=choices,
    )
