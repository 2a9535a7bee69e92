# SPDX-License-Identifier: Apache-2.0
"""From pictures to the numbers that a vision tower sees.

Pictures that the decoder already brought to size are only normalized; full-size ones are first scaled by Pillow,
which is the authors' preprocessing to the byte.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from llava_cli.models.fields import Fields

if TYPE_CHECKING:
    import numpy as np
    import torch

    Pictures = Sequence[np.ndarray] | np.ndarray
    """uint8 [height, width, 3] each, RGB."""

CLIP = {"image_mean": [0.48145466, 0.4578275, 0.40821073], "image_std": [0.26862954, 0.26130258, 0.27577711]}
SIGLIP = {"image_mean": [0.5, 0.5, 0.5], "image_std": [0.5, 0.5, 0.5]}
_BICUBIC = 3


def cropped(pictures: Pictures, size: int, *settings: Fields) -> torch.Tensor:
    """The centre square of each picture, as CLIP sees it: float32 [pictures, 3, size, size]."""
    from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

    scaled = _all_of(pictures, size)
    processor = CLIPImageProcessorPil(
        do_resize=not scaled,
        do_center_crop=not scaled,
        size={"shortest_edge": size},
        crop_size={"height": size, "width": size},
        **scaling(CLIP, *settings),
    )
    return processor(list(pictures), return_tensors="pt", input_data_format="channels_last").pixel_values


def squashed(pictures: Pictures, size: int, *settings: Fields) -> torch.Tensor:
    """Each picture squeezed into a square, as SigLIP sees it: float32 [pictures, 3, size, size]."""
    from transformers.models.siglip.image_processing_pil_siglip import SiglipImageProcessorPil

    processor = SiglipImageProcessorPil(
        do_resize=not _all_of(pictures, size),
        size={"height": size, "width": size},
        **scaling(SIGLIP, *settings),
    )
    return processor(list(pictures), return_tensors="pt", input_data_format="channels_last").pixel_values


def _all_of(pictures: Pictures, size: int) -> bool:
    return all(picture.shape[:2] == (size, size) for picture in pictures)


def scaling(default: Mapping[str, Sequence[float]], *settings: Fields) -> dict[str, Any]:
    """Mean, deviation and filter: the checkpoint's own, the last of its files first, or else its tower's.

    Raises:
        ModelError: they are not for three colour channels.
    """
    mean, std, resample = default["image_mean"], default["image_std"], _BICUBIC
    for fields in settings:
        mean = fields.numbers("image_mean", mean, least=0)
        std = fields.numbers("image_std", std, least=1e-6)
        resample = fields.integer("resample", resample, least=0, most=5)
    return {"image_mean": mean, "image_std": std, "resample": resample}
