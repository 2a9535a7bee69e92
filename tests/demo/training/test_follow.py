# SPDX-License-Identifier: Apache-2.0
"""Stage B: every visual token knows how the shape on it moves."""

from llava_cli.demo import show
from llava_cli.demo.training import follow
from llava_cli.demo.training.pixels import FRAME_TOKENS, FRAMES, sample_times
from llava_cli.demo.world import ACTIONS, dice


def test_tokens_know_how_their_shape_moves() -> None:
    times = sample_times(dice(0))
    steps, actions = follow.find_moves([show.CLIP], [times])
    known = actions[0] != follow.UNKNOWN
    assert known.sum() >= FRAMES - 1
    assert not known[:FRAME_TOKENS].any()
    assert {ACTIONS[int(action)] for action in actions[0][known]} == {"right"}
    assert (steps[0][known][:, 0] > 0.1).all()
    assert steps[0][known][:, 1:].abs().max() == 0
