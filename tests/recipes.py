# SPDX-License-Identifier: Apache-2.0
"""What the published snippets do with transformers alone: the truth that the engine's answers are compared with."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import numpy as np
import torch
from answering import GREEDY
from PIL import Image
from transformers import BatchFeature, PreTrainedModel, PreTrainedTokenizerFast
from transformers.image_processing_utils import BaseImageProcessor

from llava_cli.media.clip import Clip, Media, Still

Recipe = Callable[[str, list[Media]], str]
"""From a prompt with one placeholder for each medium, and the media, to the answer."""


def frames_and_tiles(
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

    def answer(prompt: str, media: list[Media]) -> str:
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
        return generated(model, tokenizer, tokenizer(prompt, return_tensors="pt").input_ids, **inputs)

    return answer


def apart(media: list[Media]) -> tuple[list[Clip], list[Still]]:
    return [m for m in media if isinstance(m, Clip)], [m for m in media if isinstance(m, Still)]


def preprocessed(processor: BaseImageProcessor, pictures: Sequence[np.ndarray]) -> BatchFeature:
    return processor([Image.fromarray(picture) for picture in pictures], return_tensors="pt")


def repeated(prompt: str, placeholder: str, counts: Iterable[int]) -> str:
    """Write each medium's placeholder as often as the medium has features; there must be one for each count."""
    before, *texts = prompt.split(placeholder)
    return before + "".join(placeholder * count + text for count, text in zip(counts, texts, strict=True))


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
