# SPDX-License-Identifier: Apache-2.0
"""Pictures as files in memory, for those who take nothing else."""

from __future__ import annotations

import base64
import io
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np


def encoded(pixels: np.ndarray, jpeg: int | None = None) -> str:
    """A picture, uint8 [height, width, 3] in RGB, as a PNG in base64; `jpeg` makes a JPEG of this quality."""
    from PIL import Image

    data, picture = io.BytesIO(), Image.fromarray(pixels)
    if jpeg is None:
        picture.save(data, "PNG", compress_level=1)  # a third of the time of the default, for a tenth more bytes
    else:
        picture.save(data, "JPEG", quality=jpeg, subsampling=0)
    return base64.b64encode(data.getvalue()).decode("ascii")
