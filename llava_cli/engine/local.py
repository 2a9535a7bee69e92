# SPDX-License-Identifier: Apache-2.0
"""The engine that runs a checkpoint in this process."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import cached_property

import torch
from transformers import Cache, DynamicCache, PreTrainedModel, PreTrainedTokenizerBase

from llava_cli.engine import generate, scoring, watching
from llava_cli.engine.constrain import Vocabulary
from llava_cli.engine.context import fitting_prompt
from llava_cli.engine.kv_cache import KVCache, shared_length
from llava_cli.engine.masks import Masks
from llava_cli.engine.memory import out_of_memory_as
from llava_cli.engine.scores import mean_probability
from llava_cli.engine.static import StaticDecoder
from llava_cli.engine.types import Completion, FinishReason, ModelInfo, Query, Timing
from llava_cli.errors import ModelError, UsageError
from llava_cli.models.family import Family
from llava_cli.models.prompt import Prompt, turn_ends
from llava_cli.progress import Progress, no_progress, stage
from llava_cli.words import counted


class LocalEngine:
    """A loaded checkpoint. See `Engine` for the contract."""

    def __init__(
        self,
        family: Family,
        tokenizer: PreTrainedTokenizerBase,
        model: PreTrainedModel,
        info: ModelInfo,
        load_s: float = 0.0,
        progress: Progress = no_progress,
    ) -> None:
        self.info = info
        self.family = family
        self._tokenizer = tokenizer
        self._model = model
        self._load_s = load_s
        self._progress = progress
        self._stop_ids = generate.take_over(model, tokenizer) | family.turn_ends(tokenizer)
        on_one = model.device.type == "cuda" and not info.device_map
        self._decoder = StaticDecoder(model) if on_one else None
        where = " or ".join(info.device_map or [str(info.device)])
        self._memory_error = f"{where} ran out of memory; try --4bit, fewer --frames, or a smaller checkpoint"

    @property
    def model(self) -> PreTrainedModel:
        """What is loaded, for those who measure it."""
        return self._model

    @torch.inference_mode()
    def embed(self, prompt: Prompt) -> torch.Tensor:
        """A prompt as input embeddings [tokens, hidden size], as it is prefilled."""
        return self._embed([prompt], Timing())[0]

    @torch.inference_mode()
    def answer(self, batch: Sequence[Query]) -> list[Completion]:
        generation = batch[0].generation
        if any(query.generation != generation for query in batch):
            raise ValueError("the queries of a batch must ask for the same generation")
        with out_of_memory_as(self._memory_error):
            prompts = [self._prompt(query) for query in batch]
            timing = Timing(load_s=self._load_s)
            embeddings = self._embed(prompts, timing)
            done: dict[int, Completion] = {}
            for choosing in (False, True):
                places = [place for place, query in enumerate(batch) if (query.choices is not None) == choosing]
                if places:
                    answers = (self._chosen if choosing else self._generated)(
                        [batch[place] for place in places],
                        [prompts[place] for place in places],
                        [embeddings[place] for place in places],
                        replace(timing),
                    )
                    done |= zip(places, answers, strict=True)
        return [done[place] for place in range(len(batch))]

    @torch.inference_mode()
    def stream(
        self, query: Query, cache: KVCache | None = None, stop: Callable[[], bool] | None = None
    ) -> Generator[str, None, Completion]:
        with out_of_memory_as(self._memory_error):
            prompt = self._prompt(query)
            timing = Timing(load_s=self._load_s)
            embeddings = self._embed([prompt], timing, cache)
            states = None if cache is None else cache.take(prompt) or DynamicCache()
            cached = 0 if states is None else states.get_seq_length()
            said: Sequence[int] = ()
            if query.choices is not None:
                (chosen,) = self._chosen([query], [prompt], embeddings, timing, states)
                yield chosen.text
                completion = replace(chosen, cached_tokens=cached)
            else:
                completion = yield from self._streamed(query, prompt, embeddings, timing, states, stop)
                completion, said = replace(completion, cached_tokens=cached), completion.ids
        if cache is not None:
            cache.keep(prompt, said, states)
        return completion

    def _streamed(
        self,
        query: Query,
        prompt: Prompt,
        embeddings: Sequence[torch.Tensor],
        timing: Timing,
        states: Cache | None,
        stop: Callable[[], bool] | None,
    ) -> Generator[str, None, Completion]:
        """What the model says to one query, piece by piece; see `stream`."""
        started = time.perf_counter()
        said: list[generate.Token] = []
        text = generate.TextStream(self._tokenizer)
        interrupted = False
        stop_ids = self._stop_ids_of([query])
        masks = self._masks([query], stop_ids)
        for tokens in self._next_tokens(embeddings, [query], stop_ids, states, states is not None, masks):
            timing.generate_s = time.perf_counter() - started
            timing.first_token_s = timing.first_token_s or timing.generate_s
            said.append(tokens[0])
            if tokens[0].id not in stop_ids:
                yield text.put(tokens[0].id)
            if stop is not None and stop():
                interrupted = True
                break
        yield text.end()
        ended = "interrupted" if interrupted else _end(masks, 0)
        return self._completion(query, prompt, said, stop_ids, timing, ended)

    def _generated(
        self,
        batch: Sequence[Query],
        prompts: Sequence[Prompt],
        embeddings: Sequence[torch.Tensor],
        timing: Timing,
    ) -> list[Completion]:
        """What the model says to queries."""
        started = time.perf_counter()
        said: list[list[generate.Token]] = [[] for _ in prompts]
        states = self._shared_states(prompts, embeddings)
        stop_ids = self._stop_ids_of(batch)
        masks = self._masks(batch, stop_ids)
        for tokens in self._next_tokens(embeddings, batch, stop_ids, states, masks=masks):
            timing.generate_s = time.perf_counter() - started
            timing.first_token_s = timing.first_token_s or timing.generate_s
            for row, token in tokens.items():
                said[row].append(token)
        return [
            self._completion(query, prompts[row], said[row], stop_ids, timing, _end(masks, row))
            for row, query in enumerate(batch)
        ]

    def _chosen(
        self,
        batch: Sequence[Query],
        prompts: Sequence[Prompt],
        embeddings: Sequence[torch.Tensor],
        timing: Timing,
        states: Cache | None = None,
    ) -> list[Completion]:
        """The likeliest choice of each query; `states` are those of earlier turns, if there are, and hold the prompt
        in the end."""
        answers = [self._choice_ids(query, prompt) for query, prompt in zip(batch, prompts, strict=True)]
        started = time.perf_counter()
        states = self._shared_states(prompts, embeddings) if states is None else states
        prefilled = generate.prefill(self._model, embeddings, states, self._progress)
        timing.first_token_s = time.perf_counter() - started
        with stage(self._progress, f"scoring {counted(sum(map(len, answers)), 'choice')}"), self._senseless_told():
            scores = scoring.score(self._model, prefilled, answers, self._stop_ids_of(batch))
        timing.generate_s = time.perf_counter() - started
        return [scoring.chosen(*each, timing) for each in zip(batch, prompts, answers, scores, strict=True)]

    def _choice_ids(self, query: Query, prompt: Prompt) -> list[list[int]]:
        """The token ids of a query's choices.

        Raises:
            UsageError: one has none, or those of another, or is too long for the context.
        """
        texts = query.choices.texts if query.choices is not None else ()
        found = self.family.answers(self._tokenizer, query.conversation, texts)
        for text, ids in zip(texts, found, strict=True):
            if not ids or found.count(ids) > 1:
                what = "is the same as another" if ids else "is nothing"
                raise UsageError(f"the choice {text!r} {what} to the checkpoint's tokenizer")
            if len(prompt.ids) + len(ids) > self.family.context:
                raise UsageError(f"the prompt and the choice {text!r} are longer than the checkpoint's context")
        return found

    def _stop_ids_of(self, batch: Sequence[Query]) -> frozenset[int]:
        """What ends the answers: the user's own template may end an assistant's turn in a way of its own."""
        templates = {query.conversation.template for query in batch} - {None}
        return self._stop_ids.union(*(turn_ends(self._tokenizer, str(template)) for template in templates))

    @cached_property
    def _vocabulary(self) -> Vocabulary:
        return Vocabulary(self._tokenizer, self.info.checkpoint)

    def _masks(self, batch: Sequence[Query], stop_ids: frozenset[int]) -> Masks | None:
        """What may follow in these answers; None where all are free."""
        constraints = [query.constraint for query in batch]
        return Masks(self._vocabulary, constraints, stop_ids) if any(constraints) else None

    def _next_tokens(
        self,
        embeddings: Sequence[torch.Tensor],
        batch: Sequence[Query],
        stop_ids: frozenset[int],
        states: Cache | None,
        keep: bool = False,
        masks: Masks | None = None,
    ) -> Iterator[dict[int, generate.Token]]:
        """As `generate.next_tokens`; all queries ask for the same generation.

        Raises:
            Misshapen: an answer cannot go on in its shape.
        """
        best = max(query.logprobs or 0 for query in batch)
        with self._senseless_told():
            yield from generate.next_tokens(
                self._model,
                embeddings,
                batch[0].generation,
                stop_ids,
                states,
                self._decoder,
                keep,
                self._progress,
                best,
                masks,
            )

    @contextmanager
    def _senseless_told(self) -> Iterator[None]:
        """Tell that nothing can be made of what the model says.

        Raises:
            ModelError: nothing can.
        """
        try:
            yield
        except generate.Senseless as error:
            dtype = self.info.dtype
            wider = "bfloat16" if dtype == "float16" else "float32"
            remedy = "" if dtype == "float32" else f", or numbers are too large for {dtype}: try --dtype {wider}"
            raise ModelError(
                f"{self.info.checkpoint}: gives no answer: what it says of the next word is no number, or the same of "
                f"every word; its weights are damaged{remedy}",
                code="senseless",
            ) from error

    def _prompt(self, query: Query) -> Prompt:
        if query.prompt is not None:
            return query.prompt
        return fitting_prompt(self.family, self._tokenizer, query.conversation, query.generation.max_new_tokens)

    def _shared_states(self, prompts: Sequence[Prompt], embeddings: Sequence[torch.Tensor]) -> Cache | None:
        """Keys and values of what these prompts begin with, where that is worth a run of its own."""
        length = shared_length(prompts)
        if not length:
            return None
        states = DynamicCache()
        shared = embeddings[0][None, :length]
        with watching.prefill(self._model, length, self._progress):
            self._model(inputs_embeds=shared, past_key_values=states, use_cache=True, logits_to_keep=1)
        states.batch_repeat_interleave(len(prompts))
        return states

    def _embed(self, prompts: Sequence[Prompt], timing: Timing, cache: KVCache | None = None) -> list[torch.Tensor]:
        """Each prompt as input embeddings [tokens, hidden size], features in the place of the placeholders.

        A medium is encoded once, however many prompts show it; one that is in the cache is not encoded again.
        """
        started = time.perf_counter()
        media = {id(medium): medium for prompt in prompts for medium in prompt.media}
        known = {} if cache is None else cache.features
        new = [medium for key, medium in media.items() if key not in known]
        with watching.encoding(self._model, self.family, new, self._progress):
            features = {
                key: known[key] if key in known else (medium, self.family.encode(self._model, medium))
                for key, medium in media.items()
            }
        if cache is not None:
            cache.features = features
        embedded = [self._embed_one(prompt, [features[id(m)][1] for m in prompt.media]) for prompt in prompts]
        timing.encode_s = time.perf_counter() - started
        return embedded

    def _embed_one(self, prompt: Prompt, features: Sequence[torch.Tensor]) -> torch.Tensor:
        for medium, wanted, given in zip(prompt.media, prompt.visual_tokens, features, strict=True):
            if len(given) != wanted:
                raise ModelError(
                    f"{medium.info.path}: the prompt has {wanted} placeholders, but the checkpoint makes {len(given)} "
                    "features: its files contradict each other"
                )
        ids = torch.tensor(prompt.ids, device=self._model.device)
        visual = torch.zeros_like(ids, dtype=torch.bool)
        for place in prompt.places:
            visual[place.start : place.stop] = True
        if int(visual.sum()) != sum(prompt.visual_tokens):
            raise ModelError("the prompt has placeholders without a video or image")
        # Placeholder ids may lie outside of the vocabulary; what they embed to is overwritten anyway.
        embeddings = self._model.get_input_embeddings()(ids.masked_fill(visual, 0))
        if features:
            embeddings = embeddings.masked_scatter(visual[:, None], torch.cat(list(features)).to(embeddings))
        return embeddings

    def _completion(
        self,
        query: Query,
        prompt: Prompt,
        said: list[generate.Token],
        stop_ids: frozenset[int],
        timing: Timing,
        ended: FinishReason,
    ) -> Completion:
        ids = [token.id for token in said]
        stopped = bool(ids) and ids[-1] in stop_ids
        wanted = query.logprobs
        return Completion(
            text=generate.decode(self._tokenizer, ids[: len(ids) - stopped]),
            finish_reason="stop" if stopped else ended,
            media=prompt.media,
            visual_tokens=prompt.visual_tokens,
            prompt_tokens=len(prompt.ids),
            completion_tokens=len(ids) - stopped,
            template=prompt.template,
            timing=timing,
            ids=tuple(ids),
            confidence=mean_probability([token.logprob for token in said]),
            tokens=() if wanted is None else generate.scored(self._tokenizer, said, wanted),
        )


def _end(masks: Masks | None, row: int) -> FinishReason:
    """How an answer ended that no stop token did: its shape may leave nothing more to be said."""
    return "stop" if masks is not None and row in masks.complete else "length"
