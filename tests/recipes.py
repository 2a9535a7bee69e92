# SPDX-License-Identifier: Apache-2.0
"""What the published snippets do with transformers alone: the truth that the engine's answers are compared with.

Each family has a function from the folder of a checkpoint to its recipe.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from answering import GREEDY
from PIL import Image
from tiny.parts import clip_preprocessor, siglip_preprocessor
from transformers import (
    BatchFeature,
    LlavaForConditionalGeneration,
    LlavaNextVideoForConditionalGeneration,
    LlavaOnevisionForConditionalGeneration,
    PreTrainedModel,
    PreTrainedTokenizerFast,
    VideoLlavaForConditionalGeneration,
    VideoLlavaImageProcessor,
)
from transformers.image_processing_utils import BaseImageProcessor
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil
from transformers.models.llava_next.image_processing_pil_llava_next import LlavaNextImageProcessorPil
from transformers.models.llava_onevision.image_processing_pil_llava_onevision import LlavaOnevisionImageProcessorPil
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil
from transformers.models.siglip.image_processing_pil_siglip import SiglipImageProcessorPil

from llava_cli.media.clip import Clip, Media, Still
from llava_cli.models.checkpoint import open_checkpoint
from llava_cli.models.llava_onevision2_model import LlavaOnevision2ForConditionalGeneration
from llava_cli.models.llava_video import LlavaVideo
from llava_cli.models.llava_video_model import LlavaVideoForConditionalGeneration

Recipe = Callable[..., Any]
"""From a prompt with one placeholder for each medium (or picture), and the media, to the answer; or to what `say` makes
of the model, its tokenizer, the prompt's ids and the pixels."""
Say = Callable[..., Any]


def generated(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast, ids: torch.Tensor, **pixels: torch.Tensor
) -> str:
    """What the model's own `generate` answers to ids and pixels."""
    output = model.generate(
        input_ids=ids,
        attention_mask=torch.ones_like(ids),
        max_new_tokens=GREEDY.max_new_tokens,
        do_sample=False,
        **pixels,
    )
    return tokenizer.decode(output[0, ids.shape[1] :], skip_special_tokens=True).strip()


def likelihood(answer: list[int]) -> Say:
    """What the model's plain forward pass makes of an answer behind the prompt: log-probabilities of what comes after
    the prompt and after each token of the answer [tokens + 1, words]."""

    def say(model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast, ids: torch.Tensor, **pixels: Any) -> Any:
        whole = torch.cat([ids, torch.tensor([answer], dtype=torch.long)], dim=1)
        with torch.inference_mode():
            logits = model(input_ids=whole, attention_mask=torch.ones_like(whole), **pixels).logits[0]
        return logits[-len(answer) - 1 :].log_softmax(-1)

    return say


def llava_next_video(folder: Path) -> Recipe:
    """Four tokens a frame, stills in tiles."""
    model = LlavaNextVideoForConditionalGeneration.from_pretrained(folder, dtype=torch.float32).eval()
    preprocessing = clip_preprocessor(model.config.vision_config.image_size)
    return _frames_and_tiles(
        model,
        PreTrainedTokenizerFast.from_pretrained(folder),
        frames=CLIPImageProcessorPil(**preprocessing),
        tiles=LlavaNextImageProcessorPil(**preprocessing, image_grid_pinpoints=model.config.image_grid_pinpoints),
        tokens_of=lambda seen: len(seen.frames) * 4,
    )


def llava_onevision(folder: Path) -> Recipe:
    """Nine tokens a frame and a newline for a clip, stills in tiles."""
    model = LlavaOnevisionForConditionalGeneration.from_pretrained(folder, dtype=torch.float32).eval()
    tokenizer = PreTrainedTokenizerFast.from_pretrained(folder)
    return _onevision(model, tokenizer, lambda seen: len(seen.frames) * 9 + 1)


def llava_video(folder: Path) -> Recipe:
    """Nine tokens a frame and a newline for each of its three rows, stills in tiles."""
    model = LlavaVideoForConditionalGeneration.from_pretrained(
        folder,
        config=LlavaVideo(open_checkpoint(str(folder))).model_config(),
        key_mapping=LlavaVideo.key_mapping,
        dtype=torch.float32,
    ).eval()
    tokenizer = PreTrainedTokenizerFast.from_pretrained(folder)
    tokenizer.add_tokens(["<image>", "<video>"], special_tokens=True)
    # Ids within the tiny vocabulary, which the model looks up before it puts the features there.
    model.config.image_token_id, model.config.video_token_id = tokenizer.convert_tokens_to_ids(["<image>", "<video>"])
    return _onevision(model, tokenizer, lambda seen: len(seen.frames) * (9 + 3))


def llava_interleave(folder: Path) -> Recipe:
    """Every frame an image of its own, of sixteen tokens."""
    model = LlavaForConditionalGeneration.from_pretrained(folder, dtype=torch.float32).eval()
    tokenizer = PreTrainedTokenizerFast.from_pretrained(folder)
    processor = SiglipImageProcessorPil(**siglip_preprocessor(model.config.vision_config.image_size))

    def answer(prompt: str, media: list[Media], say: Say = generated) -> Any:
        pictures = [picture for m in media for picture in (m.frames if isinstance(m, Clip) else [m.pixels])]
        ids = tokenizer(repeated(prompt, "<image>", [16] * len(pictures)), return_tensors="pt").input_ids
        return say(model, tokenizer, ids, pixel_values=preprocessed(processor, pictures).pixel_values)

    return answer


def llava_onevision2(folder: Path) -> Recipe:
    """Every frame an image of its own, of as many tokens as its size makes; no class of transformers' knows how."""
    model = LlavaOnevision2ForConditionalGeneration.from_pretrained(folder, dtype=torch.float32).eval()
    tokenizer = PreTrainedTokenizerFast.from_pretrained(folder)
    said = json.loads((folder / "preprocessor_config.json").read_text())
    limits = {"shortest_edge": said["min_pixels"], "longest_edge": said["max_pixels"]}
    processor = Qwen2VLImageProcessorPil(**{"size": limits, "merge_size": 2, "temporal_patch_size": 1})

    def features(picture: np.ndarray) -> torch.Tensor:
        inputs = preprocessed(processor, [picture])
        rows, columns = inputs.image_grid_thw[0, 1:].tolist()
        # By blocks of two by two.
        places = [
            (0, row + down, column + right)
            for row in range(0, rows, 2) for column in range(0, columns, 2) for down in (0, 1) for right in (0, 1)
        ]  # fmt: skip
        return model.get_image_features(inputs.pixel_values[None], torch.tensor([places]))[0]

    class Shown:
        """The model, and pictures that stand where the placeholders are."""

        def __init__(self, features: list[torch.Tensor]) -> None:
            self._features = features

        def _embedded(self, ids: torch.Tensor) -> torch.Tensor:
            embedded = model.get_input_embeddings()(ids)
            if self._features:
                embedded[ids == model.config.image_token_id] = torch.cat(self._features)
            return embedded

        def __call__(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> Any:
            return model(inputs_embeds=self._embedded(input_ids), attention_mask=attention_mask)

        def generate(self, input_ids: torch.Tensor, **settings: Any) -> torch.Tensor:
            said = model.generate(inputs_embeds=self._embedded(input_ids), pad_token_id=0,
                                  eos_token_id=tokenizer.eos_token_id, **settings)  # fmt: skip
            return torch.cat([input_ids, said], dim=1)

    @torch.inference_mode()
    def answer(prompt: str, media: list[Media], say: Say = generated) -> Any:
        pictures = [picture for m in media for picture in (m.frames if isinstance(m, Clip) else [m.pixels])]
        seen = [features(picture) for picture in pictures]
        text = repeated(prompt, "<image>", map(len, seen)).replace("<image>", "<|image_pad|>")
        return say(Shown(seen), tokenizer, tokenizer(text, return_tensors="pt").input_ids)

    return answer


def video_llava(folder: Path) -> Recipe:
    """Frames of seventeen tokens through one tower, stills of sixteen through another."""
    model = VideoLlavaForConditionalGeneration.from_pretrained(folder, dtype=torch.float32).eval()
    tokenizer = PreTrainedTokenizerFast.from_pretrained(folder)
    size = model.config.vision_config.image_size
    processor = VideoLlavaImageProcessor(size={"shortest_edge": size}, crop_size={"height": size, "width": size})

    def pixels(pictures: Sequence[np.ndarray]) -> torch.Tensor:
        inputs = preprocessed(processor, pictures)
        return inputs["pixel_values_images" if "pixel_values_images" in inputs else "pixel_values"]

    def answer(prompt: str, media: list[Media], say: Say = generated) -> Any:
        inputs = {}
        clips, stills = apart(media)
        if clips:
            inputs["pixel_values_videos"] = torch.stack([pixels(c.frames) for c in clips])
        if stills:
            inputs["pixel_values"] = pixels([s.pixels for s in stills])
        text = repeated(repeated(prompt, "<video>", [len(c.frames) * 17 for c in clips]), "<image>", [16] * len(stills))
        return say(model, tokenizer, tokenizer(text, return_tensors="pt").input_ids, **inputs)

    return answer


def _onevision(model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast, tokens_of: Callable[[Clip], int]) -> Recipe:
    preprocessing = siglip_preprocessor(model.config.vision_config.image_size)
    return _frames_and_tiles(
        model,
        tokenizer,
        frames=SiglipImageProcessorPil(**preprocessing),
        tiles=LlavaOnevisionImageProcessorPil(**preprocessing, image_grid_pinpoints=model.config.image_grid_pinpoints),
        tokens_of=tokens_of,
    )


def _frames_and_tiles(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerFast,
    frames: BaseImageProcessor,
    tiles: BaseImageProcessor,
    tokens_of: Callable[[Clip], int],
) -> Recipe:
    """The snippet of the families that scale a clip's frames and cut a still into tiles.

    Args:
        frames: the authors' preprocessing of frames.
        tiles: that of stills.
        tokens_of: how many features the model has for a clip; for stills it is asked.
    """

    def answer(prompt: str, media: list[Media], say: Say = generated) -> Any:
        clips, stills = apart(media)
        inputs = {}
        if clips:
            inputs["pixel_values_videos"] = torch.stack([preprocessed(frames, c.frames).pixel_values for c in clips])
            prompt = repeated(prompt, "<video>", map(tokens_of, clips))
        if stills:
            seen = preprocessed(tiles, [s.pixels for s in stills])
            inputs |= {key: seen[key] for key in ("pixel_values", "image_sizes")}
            features = model.get_image_features(seen["pixel_values"], seen["image_sizes"]).pooler_output
            prompt = repeated(prompt, "<image>", map(len, features))
        return say(model, tokenizer, tokenizer(prompt, return_tensors="pt").input_ids, **inputs)

    return answer


def apart(media: list[Media]) -> tuple[list[Clip], list[Still]]:
    return [m for m in media if isinstance(m, Clip)], [m for m in media if isinstance(m, Still)]


def preprocessed(processor: BaseImageProcessor, pictures: Sequence[np.ndarray]) -> BatchFeature:
    return processor([Image.fromarray(picture) for picture in pictures], return_tensors="pt")


def repeated(prompt: str, placeholder: str, counts: Iterable[int]) -> str:
    """Write each medium's placeholder as often as the medium has features; there must be one for each count."""
    before, *texts = prompt.split(placeholder)
    return before + "".join(placeholder * count + text for count, text in zip(counts, texts, strict=True))
