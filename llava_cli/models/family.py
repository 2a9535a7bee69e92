# SPDX-License-Identifier: Apache-2.0
"""What a family of checkpoints must say about itself. To add one: a module with a subclass, a line in the registry."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from llava_cli.errors import ModelError
from llava_cli.media.clip import Media, View
from llava_cli.models import prompt as prompts
from llava_cli.models.checkpoint import Checkpoint
from llava_cli.models.messages import Conversation, Modality

if TYPE_CHECKING:
    import torch
    from transformers import PretrainedConfig, PreTrainedModel, PreTrainedTokenizerBase


class Family(ABC):
    """How one kind of checkpoint sees media and reads a prompt.

    Everything here comes from the checkpoint's own files and needs no weights; only `pixels`, `encode` and
    `model_class` import torch.
    """

    name: ClassVar[str]
    """As it stands in records, e.g. `llava-next-video`."""
    default_ids: ClassVar[dict[Modality, int]]
    """Token ids of the placeholders where the config does not say them."""
    modules_to_not_convert: ClassVar[tuple[str, ...]]
    """Modules that stay in 16 bit when the rest is quantized, by their full names in the model."""
    vision_batch_size: ClassVar[int] = 16
    """How many frames or tiles go through the vision tower together: a bound on its peak memory."""
    supports_float16: ClassVar[bool] = True
    """Whether the language model's numbers stay in float16's range."""
    key_mapping: ClassVar[dict[str, str] | None] = None
    """Patterns that turn the names of the weights in the files into those of the model, where they differ."""

    def __init__(self, checkpoint: Checkpoint) -> None:
        self.checkpoint = checkpoint

    @staticmethod
    @abstractmethod
    def recognizes(config: Mapping[str, Any]) -> bool:
        """Whether a checkpoint with this `config.json` is of this family."""

    @property
    @abstractmethod
    def view(self) -> View:
        """How frames are wanted: size, fit, and the sampling that the family was trained with."""

    @cached_property
    def placeholder_ids(self) -> dict[Modality, int]:
        """The token ids that stand for a `video`'s and an `image`'s features, whatever the config's age calls them."""
        config = self.checkpoint.config
        return {
            word: int(config.get(f"{word}_token_index", config.get(f"{word}_token_id", default)))
            for word, default in self.default_ids.items()
        }

    @property
    @abstractmethod
    def template(self) -> str:
        """The published chat template (Jinja), for checkpoints that bring none or one that shows no media."""

    @property
    def context(self) -> int | None:
        """The longest prompt and answer, in tokens, that the checkpoint was made for; None where it does not say."""
        text = self.checkpoint.config.get("text_config", {})
        length = text.get("max_position_embeddings")
        rope = text.get("rope_scaling") or text.get("rope_parameters") or {}
        linear = rope.get("type", rope.get("rope_type")) == "linear"
        return length and int(length * (rope.get("factor", 1) if linear else 1))

    @abstractmethod
    def placeholders(self, medium: Media) -> tuple[prompts.Placeholder, ...]:
        """The placeholders of a medium in the prompt, and how many features take the place of each."""

    @abstractmethod
    def model_class(self) -> type[PreTrainedModel]:
        """The class that loads the weights."""

    def model_config(self) -> PretrainedConfig:
        """The configuration that the model is built from."""
        return self.model_class().config_class.from_dict(dict(self.checkpoint.config))

    @abstractmethod
    def encode(self, model: PreTrainedModel, medium: Media) -> torch.Tensor:
        """Features of a medium, [visual tokens, hidden size], on the model's device."""

    def prompt(self, tokenizer: PreTrainedTokenizerBase, ask: Conversation) -> prompts.Prompt:
        """The prompt for a conversation: the checkpoint's own chat template, or else the family's.

        Raises:
            ModelError: neither template can show this conversation.
        """
        ask = self.instructed(ask)
        pieces, template = self._pieces(tokenizer, ask)
        ids = prompts.encode(tokenizer, pieces, self.placeholder_ids)
        visual = set(self.placeholder_ids.values())
        return prompts.Prompt(
            ids=ids,
            media=ask.media,
            visual_tokens=tuple(self.visual_tokens(medium) for medium in ask.media),
            end_of_media=max((i + 1 for i, token in enumerate(ids) if token in visual), default=0),
            text=prompts.readable(pieces),
            template=template,
        )

    def visual_tokens(self, medium: Media) -> int:
        """How many tokens a medium takes in the prompt."""
        return sum(slot.tokens for slot in self.placeholders(medium))

    def instructed(self, ask: Conversation) -> Conversation:
        """The conversation with what the family was trained to be told of its media; most are told nothing."""
        return ask

    def _pieces(
        self, tokenizer: PreTrainedTokenizerBase, ask: Conversation
    ) -> tuple[list[prompts.Piece], Literal["checkpoint", "family"]]:
        own = self.checkpoint.chat_template
        if own is not None:
            try:
                return prompts.render(tokenizer, own, ask.turns, self.placeholders), "checkpoint"
            except prompts.TemplateMismatch:
                pass
        try:
            return prompts.render(tokenizer, self.template, ask.turns, self.placeholders), "family"
        except prompts.TemplateMismatch as error:
            raise ModelError(f"the {self.name} chat template cannot show this conversation: {error}") from error
