# SPDX-License-Identifier: Apache-2.0
"""What a family of checkpoints must say about itself. To add one: a module with a subclass, a line in the registry."""

from __future__ import annotations

import copy
import re
from abc import ABC, abstractmethod
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

from llava_cli.errors import ModelError, UsageError
from llava_cli.media.clip import Clip, Media, NativeSizes, Positions, Sampling, View, blank_clip
from llava_cli.media.limits import MAX_FRAMES
from llava_cli.models import prompt as prompts
from llava_cli.models.checkpoint import Checkpoint
from llava_cli.models.messages import Conversation, Modality, Part
from llava_cli.models.pixels import Preprocessing
from llava_cli.models.raw import raw_spans
from llava_cli.models.settings import IMAGE_SIZE, check_heads, settings

if TYPE_CHECKING:
    import torch
    from transformers import PretrainedConfig, PreTrainedModel, PreTrainedTokenizerBase

# No released checkpoint asks for more than 64.
MOST_FRAMES = 10_000
# Along an edge; that of the finest tower in use is 96.
_MOST_PATCHES = 128
# Of all frames together, before anybody asked for more of them.
_MOST_PIXELS = 1 << 28

# In which published chat templates show what a turn holds, before its texts.
_ORDER: tuple[Modality, ...] = ("image", "video")
_NAMES_MEDIA = re.compile("image|video")

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
    requires: ClassVar[Mapping[str, Sequence[Any]]] = {}
    """What config.json may say, by path, for all that stands here to be true; the first where it says nothing."""
    modules_to_not_convert: ClassVar[tuple[str, ...]]
    """Modules that stay in 16 bit when the rest is quantized, by their full names in the model."""
    vision_batch_size: ClassVar[int] = 16
    """How many frames or tiles go through the vision tower together: a bound on its peak memory."""
    supports_float16: ClassVar[bool] = True
    """Whether the language model's numbers stay in float16's range."""
    marks: ClassVar[prompts.Marks] = prompts.NO_MARKS
    """Patterns of what its templates and documents write for `<video>` and `<image>`, where it is something else."""
    positions: ClassVar[tuple[Positions, ...]] = ("zero",)
    """What the vision tower can be told of when a frame is shown."""
    frame_text_tokens: ClassVar[int] = 0
    """At most so many more tokens are in the prompt for each frame: text that tells of it."""
    keeps_hidden_states: ClassVar[bool] = True
    """Whether the vision tower keeps what leaves each of its layers, for features to be chosen of."""
    key_mapping: ClassVar[dict[str, str] | None] = None
    """Patterns that turn the names of the weights in the files into those of the model, where they differ."""

    tower: ClassVar[Preprocessing]
    """How pictures are prepared where the checkpoint does not say it."""

    def __init__(self, checkpoint: Checkpoint) -> None:
        """Read the parts of the checkpoint's `config.json`.

        Raises:
            ModelError: a part is missing, or is not what the family is made of; so too wherever a field that is wrong
                is first needed.
        """
        self.checkpoint = checkpoint
        self.config = checkpoint.fields
        self.vision = self.config.object("vision_config", required=True)
        self.text = self.config.object("text_config")
        self.quantization = self.config.object("quantization_config")
        """How the weights in the files are quantized; empty where they are not."""
        for path, supported in self.requires.items():
            section, _, key = path.rpartition(".")
            (self.config.object(section) if section else self.config).choice(key, supported[0], supported)
        states = self.vision.integer("num_hidden_layers") + 1  # what goes into each layer, and what leaves the last
        if self.config.indices("vision_feature_layer", -1, states) == [0]:
            raise ModelError(f"{self.config.source} says vision_feature_layer = 0, which no layer has made")
        self._settings = settings(self.config)

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
        return self.vision.integer("image_size", most=IMAGE_SIZE)

    @cached_property
    def _patches(self) -> int:
        """Patches along that edge."""
        least = -(-self._image_size // _MOST_PATCHES)
        return self._image_size // self.vision.integer("patch_size", least=least, most=self._image_size)

    def _own_frames(self, usual: int) -> int:
        """How many frames the checkpoint's files ask for; `usual` where they do not say it."""
        most = min(MOST_FRAMES, _MOST_PIXELS // self._frame_pixels)
        return self.checkpoint.video_preprocessor.integer("num_frames", usual, most=most)

    @property
    def _frame_pixels(self) -> int:
        """The pixels of a frame, at most, before anybody asked for more."""
        return self._image_size**2

    @cached_property
    def preprocessing(self) -> Preprocessing:
        """How stills are prepared for the vision tower."""
        return self.tower.of(self.checkpoint.preprocessor, self._image_size)

    @cached_property
    def frame_preprocessing(self) -> Preprocessing:
        """How a video's frames are."""
        return self.preprocessing.of(self.checkpoint.video_preprocessor, self._image_size)

    def _view(self, sampling: Sampling) -> View:
        """The view that follows from how frames are prepared."""
        edge, prepared = self._image_size, self.frame_preprocessing
        return View((edge, edge), prepared.fit, sampling, prepared.resample)

    @property
    def sizes(self) -> NativeSizes | None:
        """The sizes that pictures may have, where each keeps its own; of frames, the largest are asked for only."""
        return None

    def view_with(self, max_frame_pixels: int | None, positions: Positions | None) -> View:
        """The view with frames of at most so many pixels, and with other positions told.

        Raises:
            UsageError: this checkpoint cannot be shown frames so.
        """
        view = self.view
        if positions is not None:
            if positions not in self.positions:
                raise UsageError(f"--video-positions {positions}: {self.name} tells its vision tower of no positions")
            view = replace(view, positions=positions)
        if max_frame_pixels is None:
            return view
        if self.sizes is None:
            height, width = view.size
            raise UsageError(f"--max-frame-pixels: {self.name} sees every frame at {width}x{height} pixels")
        least, most = max(self.sizes.least, self.sizes.unit**2), self.sizes.most
        if not least <= max_frame_pixels <= most:
            raise UsageError(f"--max-frame-pixels {max_frame_pixels}: {self.name} takes from {least} to {most}")
        sizes = replace(self.sizes, most=max_frame_pixels)
        return replace(view, size=sizes.largest, sizes=sizes)

    @property
    @abstractmethod
    def template(self) -> str:
        """The published chat template (Jinja), for checkpoints that bring none or one that shows no media."""

    @property
    def context(self) -> int:
        """The longest prompt and answer, in tokens, that the checkpoint was made for."""
        key = "rope_scaling" if self.text.object("rope_scaling").values else "rope_parameters"
        rope = self.text.object(key)
        linear = rope.text("type", rope.text("rope_type", "")) == "linear"
        factor = rope.number("factor", 1, least=1) if linear else 1
        return int(self.text.integer("max_position_embeddings") * factor)

    @property
    def most_frames(self) -> int:
        """How many frames of one video leave room in the context for a question and an answer of usual length."""
        return self.frames_with_room(self.view)

    def frames_with_room(self, view: View) -> int:
        """The same of frames in another view."""
        room = self.context - TEXT_TOKENS
        counts = range(1, MAX_FRAMES + 1)
        return max(1, bisect_right(counts, room, key=lambda frames: self.prompt_tokens(blank_clip(view, frames))))

    @abstractmethod
    def placeholders(self, medium: Media) -> tuple[prompts.Placeholder, ...]:
        """The placeholders of a medium in the prompt, and how many features take the place of each."""

    def slots(self, medium: Media) -> tuple[prompts.Shown, ...]:
        """What chat templates are shown of a medium, each as a `video` or an `image`: its placeholders, all of them.

        Where text stands among them, they are in a slot together.
        """
        return self.placeholders(medium)

    @abstractmethod
    def model_class(self) -> type[PreTrainedModel]:
        """The class that loads the weights."""

    def model_config(self) -> PretrainedConfig:
        """The configuration that the model is built from."""
        config = self.model_class().config_class.from_dict(copy.deepcopy(self._settings))
        check_heads(config, self.config.source)
        return config

    def pictures(self, medium: Media) -> int:
        """How many pictures of a medium go through the vision tower."""
        return len(medium.frames) if isinstance(medium, Clip) else 1

    @abstractmethod
    def encode(self, model: PreTrainedModel, medium: Media) -> torch.Tensor:
        """Features of a medium, [visual tokens, hidden size], on the model's device."""

    def prompt(self, tokenizer: PreTrainedTokenizerBase, ask: Conversation) -> prompts.Prompt:
        """The prompt for a conversation: raw, or by the user's chat template, the checkpoint's own, or the family's.

        Raises:
            UsageError: a raw prompt's marks are not those of the media, or the user's template fails.
            ModelError: no template can show this conversation.
        """
        spans, template, notes = self._spans(tokenizer, ask)
        ids, places = prompts.encode(tokenizer, spans, self.placeholder_ids)
        media = prompts.media_of(spans, self.placeholders)
        return prompts.Prompt(
            ids=ids,
            media=media,
            visual_tokens=tuple(self.visual_tokens(medium) for medium in media),
            end_of_media=places[-1].stop if places else 0,
            text=prompts.readable(spans),
            template=template,
            notes=notes,
            places=places,
        )

    def answers(self, tokenizer: PreTrainedTokenizerBase, ask: Conversation, texts: Sequence[str]) -> list[list[int]]:
        """The token ids of each of these texts as the assistant's answer to a conversation, without its end.

        Raises:
            UsageError, ModelError: as `prompt` does.
        """
        spans, wrote, _ = self._spans(tokenizer, ask)
        templates = {"checkpoint": self.checkpoint.chat_template, "family": self.template, "user": ask.template}
        template = templates.get(wrote)
        if template is not None:
            lead = prompts.answer_lead(tokenizer, template)
        else:  # a raw prompt, which as the documents print them ends with "ASSISTANT:", or with a line
            lead = "" if prompts.readable(spans)[-1:].isspace() else " "
        return [prompts.answer_ids(tokenizer, spans, lead, text) for text in texts]

    def turn_ends(self, tokenizer: PreTrainedTokenizerBase) -> frozenset[int]:
        """The ids that end an answer because the chat templates end an assistant's turn with them."""
        templates = filter(None, (self.checkpoint.chat_template, self.template))
        return frozenset().union(*(prompts.turn_ends(tokenizer, template) for template in templates))

    def visual_tokens(self, medium: Media) -> int:
        """How many tokens a medium takes in the prompt."""
        return sum(placeholder.tokens for placeholder in self.placeholders(medium))

    def prompt_tokens(self, medium: Media) -> int:
        """How many tokens a medium takes in the prompt, with the text that tells of its frames, at most."""
        frames = len(medium.frames) if isinstance(medium, Clip) else 0
        return self.visual_tokens(medium) + frames * self.frame_text_tokens

    def vision_patches(self, media: Sequence[Media]) -> int:
        """How many patches go through the vision tower together, at most, for these media."""
        return self.vision_batch_size * (self._patches**2 + 1)

    def remarks(self, media: Sequence[Media]) -> tuple[str, ...]:
        """What users should know of a checkpoint that is shown such media; of most there is nothing to say."""
        return ()

    def doubts(self, dtype: str | None) -> tuple[str, ...]:
        """What users should know of numbers that the checkpoint may not answer well in."""
        if dtype != "float16" or self.supports_float16:
            return ()
        return (f"{self.name} was not made for float16, in which its numbers may overflow: bfloat16 is safe",)

    def instructed(self, ask: Conversation) -> Conversation:
        """The conversation with what the family was trained to be told of its media; most are told nothing."""
        return ask

    def media_first(self, ask: Conversation) -> Conversation:
        """Each turn with its images, then its videos, then its texts, as the published templates show them.

        Media that the user placed inside a sentence stay there.
        """

        def place(part: Part) -> int:
            return len(_ORDER) if isinstance(part, str) else _ORDER.index(self.slots(part)[0].modality)

        turns = (
            turn if turn.inline else replace(turn, parts=tuple(sorted(turn.parts, key=place))) for turn in ask.turns
        )
        return replace(ask, turns=tuple(turns))

    def _spans(
        self, tokenizer: PreTrainedTokenizerBase, ask: Conversation
    ) -> tuple[list[prompts.Span], prompts.TemplateOf, tuple[str, ...]]:
        """The spans of a prompt, whose template wrote it, and what there is to say of that."""
        if ask.raw:
            return raw_spans(ask, self.slots, self.marks), "none", ()
        if ask.template is not None:
            try:
                return self._rendered(tokenizer, ask.template, self.instructed(ask)), "user", ()
            except prompts.TemplateMismatch as error:
                raise UsageError(f"--template: it {error}") from error
        own = self.checkpoint.chat_template
        notes: tuple[str, ...] = ()
        if own is not None:
            try:
                return self._rendered(tokenizer, own, self.instructed(ask)), "checkpoint", ()
            except prompts.TemplateTooCostly as error:
                raise ModelError(
                    f"{self.checkpoint.name}: its chat template {error}: it is damaged, or hostile; --template has "
                    "another used"
                ) from error
            except prompts.TemplateMismatch as error:
                # Language models' own templates, which know no media, are brought along by many: nothing is amiss.
                if _NAMES_MEDIA.search(own):
                    notes = (f"the checkpoint's chat template {error}; the published one of {self.name} is used",)
        asked = self.instructed(self.media_first(ask))
        try:
            return self._rendered(tokenizer, self.template, asked), "family", notes
        except prompts.TemplateMismatch as error:
            raise ModelError(f"the {self.name} chat template cannot show this conversation: it {error}") from error

    def _rendered(self, tokenizer: PreTrainedTokenizerBase, template: str, ask: Conversation) -> list[prompts.Span]:
        return prompts.render(tokenizer, template, ask.turns, self.slots, self.marks)
