# SPDX-License-Identifier: Apache-2.0
"""From pictures to the numbers that a vision tower sees, as a checkpoint's files say.

Frames come at their size, and are only normalized. Stills come whole, and are first scaled and cut.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from llava_cli.media.clip import BICUBIC, Fit
from llava_cli.models.fields import Fields

if TYPE_CHECKING:
    import numpy as np
    import torch

    Pictures = Sequence[np.ndarray] | np.ndarray
    """uint8 [height, width, 3] each, RGB."""


@dataclass(frozen=True)
class Preprocessing:
    """How pictures are brought to the size of a vision tower, and their levels made numbers.

    They are always in RGB, whatever `do_convert_rgb` says.
    """

    fit: Fit
    image_mean: tuple[float, ...]
    image_std: tuple[float, ...]
    resample: int = BICUBIC
    do_rescale: bool = True
    rescale_factor: float = 1 / 255
    do_normalize: bool = True

    def of(self, fields: Fields, edge: int | None) -> Preprocessing:
        """The same with what one of a checkpoint's files says otherwise.

        Args:
            edge: of the square that the tower sees; None where pictures have sizes of their own.

        Raises:
            ModelError: it asks for what is not done, or for what makes no sense.
        """
        fields.must_be("do_resize", True, True, "pictures of any other size than the vision tower's cannot be seen")
        return replace(
            self,
            fit=self.fit if edge is None else self._fit(fields, edge),
            image_mean=tuple(fields.numbers("image_mean", self.image_mean, least=0)),
            image_std=tuple(fields.numbers("image_std", self.image_std, least=1e-6)),
            resample=fields.integer("resample", self.resample, least=0, most=5),
            do_rescale=fields.flag("do_rescale", self.do_rescale),
            rescale_factor=fields.number("rescale_factor", self.rescale_factor, least=1e-9),
            do_normalize=fields.flag("do_normalize", self.do_normalize),
        )

    def _fit(self, fields: Fields, edge: int) -> Fit:
        """How pictures come into the square that the tower sees."""
        named = fields.edges("size", edge)
        fit: Fit = self.fit if not named else "crop" if named == ("shortest_edge",) else "squash"
        if fit == "crop":
            fields.must_be("do_center_crop", True, self.fit == "crop", "the vision tower sees squares only")
        if fields.flag("do_center_crop", fit == "crop"):
            fields.edges("crop_size", edge)
        squares = fields.text("image_processor_type", "").startswith("LlavaImageProcessor")
        if squares or fields.values.get("pad_size") is not None:  # elsewhere it is about tiles, or does nothing
            fields.must_be("do_pad", False, False, "pictures are not padded")
        return fit

    def arguments(self, edge: int) -> dict[str, Any]:
        """The same as arguments of transformers' image processors."""
        square = {"height": edge, "width": edge}
        return {
            "size": {"shortest_edge": edge} if self.fit == "crop" else square,
            "do_center_crop": self.fit == "crop",
            "crop_size": square,
            "image_mean": list(self.image_mean),
            "image_std": list(self.image_std),
            "resample": self.resample,
            "do_rescale": self.do_rescale,
            "rescale_factor": self.rescale_factor,
            "do_normalize": self.do_normalize,
        }

    def apply(self, pictures: Pictures, edge: int, device: torch.device | None = None) -> torch.Tensor:
        """What the tower sees of each picture: float32 [pictures, 3, edge, edge], on the device."""
        if all(picture.shape[:2] == (edge, edge) for picture in pictures):
            return self.numbers(pictures, device)
        return _processed(pictures, self.arguments(edge)).to(device)

    def numbers(self, pictures: Pictures, device: torch.device | None = None) -> torch.Tensor:
        """The levels of pictures of one size, which stays, as numbers: float32 [pictures, 3, height, width].

        They go to the device as bytes, and are made numbers there.
        """
        import numpy as np
        import torch

        levels = self._levels.to(device)
        seen = torch.tensor(np.asarray(pictures), device=device)
        return torch.stack([levels[channel][seen[..., channel].int()] for channel in range(3)], dim=1)

    @cached_property
    def _levels(self) -> torch.Tensor:
        """The number that each of the 256 levels becomes, float32 [3, 256].

        transformers' own arithmetic, once for each level instead of once for each pixel: the same to the bit.
        """
        import numpy as np

        every = np.arange(256, dtype=np.uint8)[None, :, None].repeat(3, axis=2)
        as_they_are = {"do_resize": False, "do_center_crop": False}
        return _processed([every], self.arguments(1) | as_they_are)[0, :, 0]


def _processed(pictures: Pictures, arguments: dict[str, Any]) -> torch.Tensor:
    from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

    processor = CLIPImageProcessorPil(**arguments)
    return processor(list(pictures), return_tensors="pt", input_data_format="channels_last").pixel_values


CLIP = Preprocessing("crop", (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711))
SIGLIP = Preprocessing("squash", (0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
NATIVE = replace(CLIP, fit="native")
"""How these towers' makers prepare pictures."""
