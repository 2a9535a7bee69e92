# SPDX-License-Identifier: Apache-2.0
"""Media: from a file's name to exactly the frames that are wanted, at the size that is wanted.

`load_media` is the way in. Importing this package loads no decoder: a TAB in the shell must not wait for FFmpeg.
"""

from __future__ import annotations

import os
from collections.abc import Sequence

from llava_cli.media.clip import Clip, Media, MediaInfo, Sampling, Still, View
from llava_cli.media.load import load_media

__all__ = ["Clip", "Media", "MediaInfo", "Sampling", "Still", "View", "contact_sheet", "load_media"]


def contact_sheet(media: Media | Sequence[Media], path: str | os.PathLike[str], columns: int = 4) -> None:
    """Write a PNG of all frames in a grid; see `llava_cli.media.sheet`."""
    from llava_cli.media.sheet import contact_sheet as draw

    draw(media, path, columns)
