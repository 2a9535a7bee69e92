# SPDX-License-Identifier: Apache-2.0
"""The engine that runs a checkpoint in this process."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Literal

from llava_cli.engine import generate
from llava_cli.engine.context import fitting_prompt
from llava_cli.engine.kv_cache import Prefix, shared_length
from llava_cli.engine.memory import out_of_memory_as
from llava_cli.engine.types import Answer, Generation, ModelInfo, Timing
from llava_cli.errors import ModelError
from llava_cli.media.clip import Media, View
from llava_cli.models.family import Family
from llava_cli.models.messages import Conversation
from llava_cli.models.prompt import Prompt

if TYPE_CHECKING:
    import torch
    from transformers import Cache, PreTrainedModel, PreTrainedTokenizerBase


class LocalEngine:
    """A loaded checkpoint. See `Engine` for the contract."""

    def __init__(
        self,
        family: Family,
        tokenizer: PreTrainedTokenizerBase,
        model: PreTrainedModel,
        info: ModelInfo,
        load_s: float = 0.0,
    ) -> None:
        self.info = info
        self.family = family
        self._tokenizer = tokenizer
        self._model = model
        self._load_s = load_s
        self._stop_ids = generate.take_over(model, tokenizer)
        self._prefix: Prefix | None = None
        self._features: dict[int, tuple[Media, torch.Tensor]] = {}
        """Of the media of the last answer to be remembered, by identity."""

    @property
    def view(self) -> View:
        return self.family.view

    def answer(
        self,
        asks: Sequence[Conversation],
        generation: Generation,
        on_text: Callable[[str], None] | None = None,
        keep_cache: bool = False,
        stop: Callable[[], bool] | None = None,
    ) -> list[Answer]:
        import torch

        remedy = "try --4bit, fewer --frames, or a smaller checkpoint"
        with out_of_memory_as(f"{self.info.device} ran out of memory; {remedy}"), torch.inference_mode():
            new_tokens = generation.max_new_tokens
            prompts = [fitting_prompt(self.family, self._tokenizer, ask, new_tokens) for ask in asks]
            started = time.perf_counter()
            embeddings = self._embed(prompts, keep_cache)
            timing = Timing(load_s=self._load_s, encode_s=time.perf_counter() - started)
            cache = self._known(prompts, embeddings, keep_cache)
            reused = 0 if cache is None or len(prompts) > 1 else int(cache.get_seq_length())
            run = generate.run(
                self._model, self._tokenizer, self._stop_ids, embeddings, generation, on_text, cache, stop
            )
            timing.first_token_s, timing.generate_s = run.first_token_s, run.total_s
        if keep_cache and cache is not None:
            self._prefix = Prefix(prompts[0], run.ids[0], cache)
        ended: Literal["interrupted", "length"] = "interrupted" if stop is not None and stop() else "length"
        answers = zip(prompts, run.ids, strict=True)
        return [self._answer(prompt, ids, timing, ended, reused) for prompt, ids in answers]

    def _known(self, prompts: Sequence[Prompt], embeddings: Sequence[torch.Tensor], keep_cache: bool) -> Cache | None:
        """Keys and values of what these prompts begin with, where they are known or worth a run of their own."""
        from transformers import DynamicCache

        prefix, self._prefix = self._prefix, None
        if len(prompts) == 1:
            known = prefix.cut_to(prompts[0]) if prefix is not None else None
            return known if known is not None or not keep_cache else DynamicCache()
        length = shared_length(prompts)
        if not length:
            return None
        cache = DynamicCache()
        self._model(inputs_embeds=embeddings[0][None, :length], past_key_values=cache, use_cache=True, logits_to_keep=1)
        cache.batch_repeat_interleave(len(prompts))
        return cache

    def _embed(self, prompts: Sequence[Prompt], keep_cache: bool = False) -> list[torch.Tensor]:
        """Each prompt as input embeddings [tokens, hidden size], features in the place of the placeholders.

        A medium is encoded once, however many prompts show it; a remembered one is not encoded again.
        """
        media = {id(medium): medium for prompt in prompts for medium in prompt.media}
        known = {key: self._features[key][1] for key in media if key in self._features}
        features = {
            key: known[key] if key in known else self.family.encode(self._model, medium)
            for key, medium in media.items()
        }
        self._features = {key: (media[key], tensor) for key, tensor in features.items()} if keep_cache else {}
        return [self._embed_one(prompt, [features[id(medium)] for medium in prompt.media]) for prompt in prompts]

    def _embed_one(self, prompt: Prompt, features: Sequence[torch.Tensor]) -> torch.Tensor:
        import torch

        for medium, wanted, given in zip(prompt.media, prompt.visual_tokens, features, strict=True):
            if len(given) != wanted:
                raise ModelError(
                    f"{medium.info.path}: the prompt has {wanted} placeholders, but the checkpoint makes {len(given)} "
                    "features: its files contradict each other"
                )
        ids = torch.tensor(prompt.ids, device=self._model.device)
        visual = torch.isin(ids, torch.tensor(list(self.family.placeholder_ids.values()), device=ids.device))
        if int(visual.sum()) != sum(prompt.visual_tokens):
            raise ModelError("the prompt has placeholders without a video or image")
        # Placeholder ids may lie outside of the vocabulary; what they embed to is overwritten anyway.
        embeddings = self._model.get_input_embeddings()(ids.masked_fill(visual, 0))
        if features:
            embeddings = embeddings.masked_scatter(visual[:, None], torch.cat(list(features)).to(embeddings))
        return embeddings

    def _answer(
        self,
        prompt: Prompt,
        ids: list[int],
        timing: Timing,
        ended: Literal["interrupted", "length"],
        reused: int,
    ) -> Answer:
        stopped = bool(ids) and ids[-1] in self._stop_ids
        return Answer(
            text=generate.decode(self._tokenizer, ids[: len(ids) - stopped]),
            finish_reason="stop" if stopped else ended,
            media=prompt.media,
            visual_tokens=prompt.visual_tokens,
            prompt_tokens=len(prompt.ids),
            completion_tokens=len(ids) - stopped,
            template=prompt.template,
            timing=timing,
            cached_tokens=reused,
        )
