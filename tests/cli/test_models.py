# SPDX-License-Identifier: Apache-2.0
"""`llava models`: what each released checkpoint is, as its authors run it, without a download."""

from __future__ import annotations

import json

from llava_cli.models.published import PUBLISHED

# Frames by default, tokens a frame, context.
KNOWN = {
    "next-video-7b": (32, 144, 10240),
    "next-video-7b-32k": (32, 144, 32768),
    "next-video-34b": (24, 144, 4096),
    "llava-video-7b": (64, 210, 32768),
    "video-llava-7b": (8, 257, 4096),
    "interleave-0.5b": (8, 729, 32768),
    "onevision-7b": (32, 196, 32768),
}


def test_every_released_checkpoint_is_listed(llava):
    result = llava("models", "--json")
    assert result.code == 0, result.err
    rows = {row["name"]: row for row in map(json.loads, result.out.splitlines())}
    assert list(rows) == list(PUBLISHED)
    for name, (frames, tokens, context) in KNOWN.items():
        row = rows[name]
        assert (row["frames"], row["tokens_per_frame"], row["context"]) == (frames, tokens, context), name
    for row in rows.values():
        assert row["hub_id"].count("/") == 1
        assert 0 < row["nf4_gib"] < row["bf16_gib"]
    assert 13 < rows["next-video-7b"]["bf16_gib"] < 18


def test_the_table_is_for_people(llava):
    lines = llava("models").out.splitlines()
    assert lines[0].startswith("NAME")
    assert len(lines) == len(PUBLISHED) + 1
    assert "llava-hf/LLaVA-NeXT-Video-7B-hf" in lines[1]
