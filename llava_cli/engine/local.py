# SPDX-License-Identifier: Apache-2.0
"""The engine that runs a checkpoint in this process."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterator, Sequence
from functools import cached_property

import torch
from transformers import Cache, DynamicCache, PreTrainedModel, PreTrainedTokenizerBase

from llava_cli.engine import generate, watching
from llava_cli.engine.constrain import Vocabulary
from llava_cli.engine.context import fitting_prompt
from llava_cli.engine.kv_cache import KVCache, shared_length
from llava_cli.engine.masks import Masks
from llava_cli.engine.memory import out_of_memory_as
from llava_cli.engine.static import StaticDecoder
from llava_cli.engine.types import Completion, FinishReason, Generation, ModelInfo, Query, Timing
from llava_cli.errors import ModelError
from llava_cli.models.family import Family
from llava_cli.models.prompt import Prompt, turn_ends
from llava_cli.progress import Progress, no_progress


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
        where = " or ".join(info.device_map or [info.device])
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
            started = time.perf_counter()
            ids: list[list[int]] = [[] for _ in prompts]
            states = self._shared_states(prompts, embeddings)
            stop_ids = self._stop_ids_of(batch)
            masks = self._masks(batch, stop_ids)
            for tokens in self._next_tokens(embeddings, generation, stop_ids, states, masks=masks):
                timing.generate_s = time.perf_counter() - started
                timing.first_token_s = timing.first_token_s or timing.generate_s
                for row, token in tokens.items():
                    ids[row].append(token)
        return [
            self._completion(prompt, ids[row], stop_ids, timing, _end(masks, row)) for row, prompt in enumerate(prompts)
        ]

    @torch.inference_mode()
    def stream(
        self, query: Query, cache: KVCache | None = None, stop: Callable[[], bool] | None = None
    ) -> Generator[str, None, Completion]:
        with out_of_memory_as(self._memory_error):
            prompt = self._prompt(query)
            timing = Timing(load_s=self._load_s)
            embeddings = self._embed([prompt], timing, cache)
            started = time.perf_counter()
            states = None if cache is None else cache.take(prompt) or DynamicCache()
            cached = 0 if states is None else states.get_seq_length()
            ids: list[int] = []
            text = generate.TextStream(self._tokenizer)
            interrupted = False
            stop_ids = self._stop_ids_of([query])
            masks = self._masks([query], stop_ids)
            for tokens in self._next_tokens(embeddings, query.generation, stop_ids, states, cache is not None, masks):
                token = tokens[0]
                timing.generate_s = time.perf_counter() - started
                timing.first_token_s = timing.first_token_s or timing.generate_s
                ids.append(token)
                if token not in stop_ids:
                    yield text.put(token)
                if stop is not None and stop():
                    interrupted = True
                    break
            yield text.end()
        if cache is not None:
            cache.keep(prompt, ids, states)
        ended = "interrupted" if interrupted else _end(masks, 0)
        return self._completion(prompt, ids, stop_ids, timing, ended, cached)

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
        generation: Generation,
        stop_ids: frozenset[int],
        states: Cache | None,
        keep: bool = False,
        masks: Masks | None = None,
    ) -> Iterator[dict[int, int]]:
        """As `generate.next_tokens`.

        Raises:
            ModelError: nothing can be made of what the model says.
            Misshapen: an answer cannot go on in its shape.
        """
        try:
            yield from generate.next_tokens(
                self._model, embeddings, generation, stop_ids, states, self._decoder, keep, self._progress, masks
            )
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
        prompt: Prompt,
        ids: list[int],
        stop_ids: frozenset[int],
        timing: Timing,
        ended: FinishReason,
        cached_tokens: int = 0,
    ) -> Completion:
        stopped = bool(ids) and ids[-1] in stop_ids
        return Completion(
            text=generate.decode(self._tokenizer, ids[: len(ids) - stopped]),
            finish_reason="stop" if stopped else ended,
            media=prompt.media,
            visual_tokens=prompt.visual_tokens,
            prompt_tokens=len(prompt.ids),
            completion_tokens=len(ids) - stopped,
            template=prompt.template,
            timing=timing,
            cached_tokens=cached_tokens,
            ids=tuple(ids),
        )


def _end(masks: Masks | None, row: int) -> FinishReason:
    """How an answer ended that no stop token did: its shape may leave nothing more to be said."""
    return "stop" if masks is not None and row in masks.complete else "length"
