# SPDX-License-Identifier: Apache-2.0
"""Models that a server has: what is known of them here."""

from __future__ import annotations

import pytest
from pictures import clip

from llava_cli.errors import ModelError
from llava_cli.models.messages import ask
from llava_cli.models.registry import open_family
from llava_cli.models.served import MOST_FRAMES, USUAL, open_served


@pytest.mark.parametrize("name", ["next-video-34b", "llava-hf/LLaVA-NeXT-Video-34B-hf"])
def test_a_released_checkpoint_is_known_by_either_name(name: str) -> None:
    served, family = open_served(name), open_family("next-video-34b", dummy=True)
    assert served.checkpoint.name == served.names[0] == "llava-hf/LLaVA-NeXT-Video-34B-hf"
    assert name in served.names
    assert (served.name, served.view, served.frames_with_room(USUAL)) == (
        family.name, family.view, family.frames_with_room(USUAL),
    )  # fmt: skip


def test_of_others_nothing_is_known() -> None:
    served = open_served("someone/else")
    assert (served.name, served.view, served.frames_with_room(USUAL)) == (None, USUAL, MOST_FRAMES)
    asked = ask("Why?", [clip(2, 8, 6)])
    assert served.instructed(asked) is asked
    assert served.remarks(asked.media) == ()
    assert served.visual_tokens(asked.media[0]) is None


@pytest.mark.parametrize("like", ["llava-onevision", "onevision-7b"])
def test_but_whom_they_are_like_may_be_said(like: str) -> None:
    served = open_served("default", like)
    assert (served.names, served.name) == (("default",), "llava-onevision")
    assert served.view == open_family("onevision-7b", dummy=True).view


def test_a_folder_says_it_too(checkpoints) -> None:
    folder = str(checkpoints("llava-interleave"))
    assert open_served("default", folder).view == open_family(folder).view


def test_like_nobody() -> None:
    with pytest.raises(ModelError, match="--family nobody: no such short name, family or folder; families: llava-"):
        open_served("default", "nobody")


def test_it_is_told_what_its_family_is_told_of_media() -> None:
    asked = open_served("llava-video-7b").instructed(ask("Why?", [clip(2, 8, 6)]))
    assert any("The video lasts for" in part for part in asked.turns[0].parts if isinstance(part, str))
    assert open_served("video-llava-7b").remarks([clip(4, 8, 6)])
