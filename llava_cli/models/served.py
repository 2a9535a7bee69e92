# SPDX-License-Identifier: Apache-2.0
"""A model whose files a server has: what can be said of it here, without them."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from llava_cli.errors import ModelError, UsageError
from llava_cli.media.clip import Media, Positions, Sampling, View
from llava_cli.models.checkpoint import DEMO, Checkpoint
from llava_cli.models.family import Family
from llava_cli.models.messages import Conversation
from llava_cli.models.published import PUBLISHED
from llava_cli.models.registry import FAMILIES, open_family

USUAL = View((768, 768), "inside", Sampling("uniform", 8))
"""How videos are shown to a model of which nothing is known: as they are, but for what is large."""
MOST_FRAMES = 64
"""Of a video shown to such a model at a rate of frames."""


class Served:
    """What a session asks of a family, of a model that is elsewhere."""

    def __init__(self, *names: str, like: Family | None = None) -> None:
        """Name a model.

        Args:
            names: by which its server may know it, the usual one first.
            like: a family, of a checkpoint like this one, that says how it wants to see videos.
        """
        self.names = names
        self.checkpoint = Checkpoint(names[0], Path(os.devnull).parent / "no-such-folder", {})
        self.like = like

    @property
    def name(self) -> str | None:
        """The family's, where it is known."""
        return None if self.like is None else self.like.name

    @property
    def view(self) -> View:
        """See `Family.view`."""
        return USUAL if self.like is None else self.like.view

    def view_with(self, max_frame_pixels: int | None, positions: Positions | None) -> View:
        """See `Family.view_with`; of a model of which nothing is known only its usual view can be had.

        Raises:
            UsageError: another was asked for, which it is not known to take.
        """
        if self.like is not None:
            return self.like.view_with(max_frame_pixels, positions)
        for option, value in (("--max-frame-pixels", max_frame_pixels), ("--video-positions", positions)):
            if value is not None:
                raise UsageError(f"{option}: say with --family what {self.names[0]} is like")
        return self.view

    def frames_with_room(self, view: View) -> int:
        """See `Family.frames_with_room`."""
        return MOST_FRAMES if self.like is None else self.like.frames_with_room(view)

    def vision_patches(self, media: Sequence[Media]) -> int:
        """None of them here."""
        return 0

    def doubts(self, dtype: str | None) -> tuple[str, ...]:
        """Only its server knows its numbers."""
        return ()

    def remarks(self, media: Sequence[Media]) -> tuple[str, ...]:
        """See `Family.remarks`."""
        return () if self.like is None else self.like.remarks(media)

    def instructed(self, ask: Conversation) -> Conversation:
        """See `Family.instructed`: it is no part of a chat template, so no server does it."""
        return ask if self.like is None else self.like.instructed(ask)

    def visual_tokens(self, medium: Media) -> int | None:
        """Unknown until the server has counted them."""
        return None


def open_served(name: str, like: str | None = None) -> Served:
    """A model by the name that a server has for it; a short name stands for its hub id.

    Args:
        like: a family, or a checkpoint (a short name, a folder, a hub id), whose view is used; None takes that of a
            released checkpoint of this name.

    Raises:
        ModelError: there is no such family or checkpoint.
    """
    released = {published.hub_id: short for short, published in PUBLISHED.items()}
    hub_id = PUBLISHED[name].hub_id if name in PUBLISHED else name
    known = like if like is not None else released.get(hub_id)
    return Served(*dict.fromkeys((hub_id, name)), like=None if known is None else _like(known))


def _like(name: str) -> Family:
    by_family = {open_family(short, dummy=True).name: short for short in reversed(PUBLISHED)}
    short = by_family.get(name, name)
    if short in PUBLISHED:
        return open_family(short, dummy=True)
    if short == DEMO or "/" in short or Path(short).is_dir():
        return open_family(short)
    raise ModelError(
        f"--family {name}: no such short name, family or folder; families: "
        f"{', '.join(family.name for family in FAMILIES)}"
    )
