# SPDX-License-Identifier: Apache-2.0
"""What everybody has without this program gives the same frames and the same tokens."""

from __future__ import annotations

import pytest
from media.rendering import read_mark

from llava_cli.bench import plain
from llava_cli.media.clip import Sampling


@pytest.mark.parametrize(("policy", "indices"), [("uniform", (0, 25, 50, 75)), ("linspace", (0, 33, 66, 99))])
def test_the_loop_takes_the_frames_that_the_family_was_trained_with(rendered, policy, indices):
    clip = plain.read_clip(rendered("h264"), Sampling(policy, 4))
    assert clip.indices == indices
    assert [read_mark(pixels) for pixels in clip.frames] == list(indices)
    assert clip.frames.shape[1:3] == (48, 64)


def test_the_library_s_loop_says_the_same(session, request_for):
    with session.open_media() as media:
        prepared = session.prepare(request_for, media)
    (answer,) = session.engine.answer([prepared.query])
    embeddings = session.engine.embed(prepared.query.prompt)[None].expand(2, -1, -1)
    assert plain.generate(session.engine.model, embeddings, len(answer.ids)) == [list(answer.ids)] * 2
    assert [len(ids) for ids in plain.generate(session.engine.model, embeddings, 9)] == [
        9,
        9,
    ]  # whatever ends an answer
    first, token = plain.time_generate(session.engine.model, embeddings, 3)
    assert first > 0
    assert token >= 0
    assert plain.time_generate(session.engine.model, embeddings, 1)[1] is None
