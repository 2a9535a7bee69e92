# SPDX-License-Identifier: Apache-2.0
"""Both ways to scale are there, and nothing else of a choice changes."""

from __future__ import annotations

from llava_cli.bench.pixels import exact, fast
from llava_cli.media.clip import Sampling, View
from llava_cli.request import FrameChoice

VIEW = View((56, 56), "crop", Sampling())


def test_the_two_ways_differ_in_pixels_alone():
    choice = FrameChoice(frames=3, start=1.0)
    ways = [way(choice).of(VIEW, 8) for way in (exact, fast)]
    assert ways[0] != ways[1]
    assert ways[0].sampling == ways[1].sampling == Sampling(frames=3, start=1.0)
    assert exact(fast(choice)) == exact(choice)
