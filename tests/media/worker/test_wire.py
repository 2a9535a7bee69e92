# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import io
from dataclasses import replace

import numpy as np

from llava_cli.media import Clip, MediaInfo, Sampling, View
from llava_cli.media.clip import NativeSizes
from llava_cli.media.limits import Limits
from llava_cli.media.worker.wire import Request, dump_media, read_outcome


def test_requests_survive_the_journey() -> None:
    view, limits = (
        View((1, 2), "native", Sampling("fps", 3, 0.5, 1.0, 2.0), 1, "fast", NativeSizes(1, 2, 3), "index"),
        Limits(1, 2, 3, 4.0, 5, "any", False),
    )
    request = Request("/a\udcff", "b", view, limits, 5)
    assert Request.parse(request.dump()) == request
    plain = replace(request, view=View((1, 2), "full", Sampling()))
    assert Request.parse(plain.dump()) == plain


def test_a_clip_says_after_the_journey_what_it_was_made_of() -> None:
    info = MediaInfo("a", "video", 1, 1, None, "pyav")
    clip = Clip(np.zeros((1, 2, 3, 3), np.uint8), (7,), (0.5,), info, Sampling(), "fast", "index", "native")
    line, pixels = dump_media(clip)
    arrived = read_outcome(io.BytesIO(line + pixels))
    assert isinstance(arrived, Clip)
    told = ("indices", "times", "info", "sampling", "pixels", "positions", "fit")
    assert [getattr(arrived, name) for name in told] == [getattr(clip, name) for name in told]
