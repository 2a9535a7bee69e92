# SPDX-License-Identifier: Apache-2.0
"""Which video stays open between requests: the one of which a part was shown last."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from llava_cli.media.source import HeldSource

if TYPE_CHECKING:
    from llava_cli.media.video import Video


@dataclass
class LastVideo:
    """The video of which a part was shown last, kept open for further parts."""

    _video: Video | None = None
    _held: int | None = None
    _known: object = None

    def of(self, source: HeldSource) -> Video:
        """The video of a source; the one that was shown last where it is the same file, unchanged.

        The source's own descriptor may be closed by then.
        """
        from llava_cli.media.video import Video

        known = _mark(source), source.name, source.limits
        if self._video is None or known != self._known:
            self.close()
            self._held = os.dup(source.held)
            self._video, self._known = Video(replace(source, held=self._held)), known
        return self._video

    def close(self) -> None:
        """Let go of it."""
        if self._video is not None:
            self._video.close()
        if self._held is not None:
            os.close(self._held)
        self._video = self._held = self._known = None


def _mark(source: HeldSource) -> tuple[int, ...]:
    found = os.fstat(source.held)
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns
