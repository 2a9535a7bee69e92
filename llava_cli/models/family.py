# SPDX-License-Identifier: Apache-2.0
"""What a family of checkpoints must say about itself. To add one: a module with a subclass, a line in the registry."""

from __future__ import annotations

from abc import ABC, abstractmethod
from bisect import bisect_right
from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from llava_cli.errors import ModelError
from llava_cli.media.clip import Clip, Media, View, blank_clip
from llava_cli.media.limits import MAX_FRAMES
from llava_cli.models import prompt as prompts
from llava_cli.models.checkpoint import Checkpoint
from llava_cli.models.messages import Conversation, Modality

if TYPE_CHECKING:
    import torch
    from transformers import PretrainedConfig, PreTrainedModel, PreTrainedTokenizerBase

# No released checkpoint asks for more than 64.
MOST_FRAMES = 10_000


TEXT_TOKENS = 320
"""What a question, the template and an answer of usual length add to the tokens of media."""


class Family(ABC):
    """How one kind of checkpoint sees media and reads a prompt.

    Everything here comes from the checkpoint's own files and needs no weights; only `pixels`, `encode` and
    `model_class` import torch.
    """

    name: ClassVar[str]
    """As it stands in records, e.g. `llava-next-video`."""
    default_ids: ClassVar[dict[Modality, int]]
    """Token ids of the placeholders where the config does not say them."""
    default_patch_size: ClassVar[int]
    """Of the vision tower's patches in pixels, as the library has it where the config does not say it."""
    modules_to_not_convert: ClassVar[tuple[str, ...]]
    """Modules that stay in 16 bit when the rest is quantized, by their full names in the model."""
    vision_batch_size: ClassVar[int] = 16
    """How many frames or tiles go through the vision tower together: a bound on its peak memory."""
    supports_float16: ClassVar[bool] = True
    """Whether the language model's numbers stay in float16's range."""
    key_mapping: ClassVar[dict[str, str] | None] = None
    """Patterns that turn the names of the weights in the files into those of the model, where they differ."""

    def __init__(self, checkpoint: Checkpoint) -> None:
        """Read the parts of the checkpoint's `config.json`.

        Raises:
            ModelError: a part is missing or no object; so too wherever a field that is wrong is first needed.
        """
        self.checkpoint = checkpoint
        self.config = checkpoint.fields
        self.vision = self.config.object("vision_config", required=True)
        self.text = self.config.object("text_config")
        self.quantization = self.config.object("quantization_config")
        """How the weights in the files are quantized; empty where they are not."""

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
        return {
            modality: self.config.integer(
                f"{modality}_token_index", self.config.integer(f"{modality}_token_id", default, least=0), least=0
            )
            for modality, default in self.default_ids.items()
        }

    @cached_property
    def _image_size(self) -> int:
        """Edge in pixels of what the vision tower sees."""
        return self.vision.integer("image_size", 224, most=4096)

    @cached_property
    def _patches(self) -> int:
        """Patches along that edge."""
        return self._image_size // self.vision.integer("patch_size", self.default_patch_size, most=self._image_size)

    @property
    @abstractmethod
    def template(self) -> str:
        """The published chat template (Jinja), for checkpoints that bring none or one that shows no media."""

    @property
    def context(self) -> int | None:
        """The longest prompt and answer, in tokens, that the checkpoint was made for; None where it does not say."""
        if self.text.values.get("max_position_embeddings") is None:
            return None
        key = "rope_scaling" if self.text.object("rope_scaling").values else "rope_parameters"
        rope = self.text.object(key)
        linear = rope.text("type", rope.text("rope_type", "")) == "linear"
        factor = rope.number("factor", 1, least=1) if linear else 1
        return int(self.text.integer("max_position_embeddings", 0) * factor)

    @property
    def most_frames(self) -> int:
        """How many frames of one video leave room in the context for a question and an answer of usual length."""
        if self.context is None:
            return MAX_FRAMES
        room = self.context - TEXT_TOKENS
        counts = range(1, MAX_FRAMES + 1)
        return max(1, bisect_right(counts, room, key=lambda frames: self.visual_tokens(blank_clip(self.view, frames))))

    @abstractmethod
    def placeholders(self, medium: Media) -> tuple[prompts.Placeholder, ...]:
        """The placeholders of a medium in the prompt, and how many features take the place of each."""

    @abstractmethod
    def model_class(self) -> type[PreTrainedModel]:
        """The class that loads the weights."""

    def model_config(self) -> PretrainedConfig:
        """The configuration that the model is built from."""
        return self.model_class().config_class.from_dict(dict(self.checkpoint.config))

    def pictures(self, medium: Media) -> int:
        """How many pictures of a medium go through the vision tower."""
        return len(medium.frames) if isinstance(medium, Clip) else 1

    @abstractmethod
    def encode(self, model: PreTrainedModel, medium: Media) -> torch.Tensor:
        """Features of a medium, [visual tokens, hidden size], on the model's device."""

    def prompt(self, tokenizer: PreTrainedTokenizerBase, ask: Conversation) -> prompts.Prompt:
        """The prompt for a conversation: the checkpoint's own chat template, or else the family's.

        Raises:
            ModelError: neither template can show this conversation.
        """
        ask = self.instructed(ask)
        spans, template = self._spans(tokenizer, ask)
        ids = prompts.encode(tokenizer, spans, self.placeholder_ids)
        visual = set(self.placeholder_ids.values())
        return prompts.Prompt(
            ids=ids,
            media=ask.media,
            visual_tokens=tuple(self.visual_tokens(medium) for medium in ask.media),
            end_of_media=max((i + 1 for i, token in enumerate(ids) if token in visual), default=0),
            text=prompts.readable(spans),
            template=template,
        )

    def visual_tokens(self, medium: Media) -> int:
        """How many tokens a medium takes in the prompt."""
        return sum(placeholder.tokens for placeholder in self.placeholders(medium))

    def instructed(self, ask: Conversation) -> Conversation:
        """The conversation with what the family was trained to be told of its media; most are told nothing."""
        return ask

    def _spans(
        self, tokenizer: PreTrainedTokenizerBase, ask: Conversation
    ) -> tuple[list[prompts.Span], Literal["checkpoint", "family"]]:
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
