# SPDX-License-Identifier: Apache-2.0
"""How far an answer is: told layer by layer, of every family, without a bit of it being changed."""

from __future__ import annotations

from contextlib import contextmanager

import numpy as np
import pytest

from llava_cli.engine import watching
from llava_cli.engine.loader import load
from llava_cli.engine.types import Generation, LoadOptions, Query
from llava_cli.media.clip import Clip, Media, MediaInfo, Still, blank_clip
from llava_cli.models.messages import ask
from llava_cli.models.registry import FAMILIES
from llava_cli.progress import no_progress
from llava_cli.session import open_family


@pytest.fixture(params=[family.name for family in FAMILIES])
def family(request, checkpoints):
    return open_family(str(checkpoints(request.param)))


def picture(family, shown: str) -> Media:
    if shown == "clip":
        return blank_clip(family.view, family.view.sampling.frames)
    pixels = np.random.default_rng(3).integers(0, 256, (700, 1400, 3), np.uint8)
    return Still(pixels, MediaInfo("a.png", "image", 1400, 700, None, "pillow"))


def stages(told: list[tuple[str, int, int]]) -> dict[str, list[tuple[int, int]]]:
    found: dict[str, list[tuple[int, int]]] = {}
    for name, count, total in told:
        found.setdefault(name, []).append((count, total))
    return found


@pytest.mark.parametrize("shown", ["clip", "still"])
def test_each_stage_is_told_from_nothing_to_all(family, shown):
    told: list[tuple[str, int, int]] = []
    engine = load(family, LoadOptions("cpu", "float32"))
    engine._progress = lambda *how_far: told.append(how_far)
    medium = picture(family, shown)
    query = Query(ask("Why?", [medium]), Generation(3))
    quiet = load(family, LoadOptions("cpu", "float32")).answer([query])[0]
    answer = engine.answer([query])[0]
    assert answer.text == quiet.text
    found = stages(told)
    what = f"{len(medium.frames)} frames" if isinstance(medium, Clip) else "1 image"
    assert list(found) == [
        f"encoding {what}",
        f"prefill of {answer.prompt_tokens} tokens",
        "answering, at most 3 tokens",
    ]
    for counts in found.values():
        assert (counts[0][0], counts[-1][0]) == (0, counts[0][1])
        assert [count for count, _ in counts] == sorted(count for count, _ in counts)
        assert len({total for _, total in counts}) == 1
    assert engine._model.get_decoder().layers[0]._forward_hooks == {}


@pytest.mark.parametrize("shown", ["clip", "still"])
def test_what_is_expected_is_what_there_is(family, shown, monkeypatch):
    """However many tiles a picture becomes, and however many parts go through the tower."""
    passed, totals = [0], []

    @contextmanager
    def uncut(progress, name, total):
        totals.append((name.split()[0], total))
        yield lambda count: passed.append(count)

    monkeypatch.setattr(watching, "stage", uncut)
    monkeypatch.setattr(type(family), "vision_batch_size", 3)
    engine = load(family, LoadOptions("cpu", "float32"))
    with watching.encoding(engine._model, family, media := [picture(family, shown)], no_progress):
        family.encode(engine._model, media[0])
    assert [("encoding", passed[-1])] == totals


def test_a_turn_whose_media_are_known_encodes_nothing(family):
    from llava_cli.engine.kv_cache import KVCache

    engine = load(family, LoadOptions("cpu", "float32"))
    query, cache = Query(ask("Why?", [blank_clip(family.view, 8)]), Generation(2)), KVCache()
    list(engine.stream(query, cache))
    told: list[tuple[str, int, int]] = []
    engine._progress = lambda *how_far: told.append(how_far)
    list(engine.stream(query, cache))
    assert not [name for name, _, _ in told if name.startswith("encoding")]
