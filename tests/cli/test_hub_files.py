# SPDX-License-Identifier: Apache-2.0
"""The released checkpoints' small files through a dry run: each is known for what it is, without its weights."""

from __future__ import annotations

import json
from dataclasses import dataclass

import hub_files
import pytest

from llava_cli.engine.memory import GIB
from llava_cli.session import open_family


@dataclass(frozen=True)
class Known:
    family: str
    edge: int
    fit: str
    frames: int
    """By default."""
    context: int
    tokens: int
    """Of a frame."""
    weights: float
    """GiB in 16 bit."""
    policy: str = "linspace"
    newline: int = 0
    """Tokens that end a video."""
    template: str = "family"


def next_video(context: int, weights: float, frames: int = 32, template: str = "family") -> Known:
    return Known("llava-next-video", 336, "crop", frames, context, 144, weights, "uniform", template=template)


def onevision(weights: float, template: str = "checkpoint") -> Known:
    return Known("llava-onevision", 384, "squash", 32, 32768, 196, weights, newline=1, template=template)


def llava_video(weights: float, tokens: int = 210) -> Known:
    return Known("llava-video", 384, "squash", 64, 32768, tokens, weights)


def interleave(weights: float) -> Known:
    return Known("llava-interleave", 384, "squash", 8, 32768, 729, weights, "uniform")


KNOWN = {
    "next-video-7b": next_video(10240, 13.16, template="checkpoint"),
    "next-video-7b-dpo-as-converted": next_video(4096, 13.16, frames=24),
    "next-video-7b-32k": next_video(32768, 14.09),
    "next-video-34b": next_video(4096, 64.73, frames=24),
    "next-video-7b-qwen2": llava_video(14.96, tokens=182),
    "video-llava-7b": Known("video-llava", 224, "crop", 8, 4096, 257, 13.72, "uniform"),
    "interleave-0.5b": interleave(1.61),
    "interleave-7b": interleave(15.16),
    "onevision-0.5b": onevision(1.66),
    "onevision-7b": onevision(14.96),
    "onevision-72b": onevision(136.31),
    "llava-video-7b": llava_video(14.96),
    "llava-video-7b-sparse": llava_video(14.96),
    "llava-video-72b": llava_video(136.31),
    "llava-video-converted": llava_video(14.96),
    "lmms-onevision-7b-ov": onevision(14.96, template="family"),
    "lmms-onevision-0.5b-ov": onevision(1.66, template="family"),
}


def test_every_checkpoint_is_looked_at():
    assert hub_files.FILES.keys() == {*KNOWN, "llava-video-72b-if-faster"}


@pytest.mark.parametrize("name", KNOWN)
def test_a_dry_run_knows_what_it_is(llava, rendered, tmp_path, name):
    known = KNOWN[name]
    folder = hub_files.write(name, tmp_path)
    family = open_family(str(folder))
    assert (family.view.size, family.view.fit) == ((known.edge, known.edge), known.fit)
    assert family.context == known.context
    result = llava("ask", rendered("h264"), "Why?", "-m", folder, "--dry-run", "--json", "--dtype", "bfloat16")
    assert result.code == 0, result.err
    record = json.loads(result.out)
    (shown,) = record["media"]
    assert (record["model"]["family"], record["model"]["template"]) == (known.family, known.template)
    assert (shown["sampling"]["policy"], shown["sampling"]["frames"]) == (known.policy, known.frames)
    assert shown["visual_tokens"] == len(shown["frames"]) * known.tokens + known.newline
    assert round(record["memory"]["weights"] / GIB, 2) == known.weights


def test_a_setting_that_is_not_supported_is_named_before_there_are_weights(llava, rendered, tmp_path):
    folder = hub_files.write("llava-video-72b-if-faster", tmp_path)
    result = llava("ask", rendered("h264"), "Why?", "-m", folder, "--dry-run")
    assert result.code == 4
    assert "add_faster_video = True" in result.err


@pytest.mark.parametrize(
    ("name", "section", "setting"),
    [
        ("next-video-7b-qwen2", "spatial_pool_mode", "conv"),
        ("next-video-7b", "spatial_pool_mode", "bilinear"),
        ("onevision-7b", "vision_feature_layer", 40),
        ("interleave-7b", "projector_hidden_act", "no-such-function"),
        ("video-llava-7b", "vision_config", {"model_type": "no_such_model"}),
        ("llava-video-7b", "hidden_act", "no-such-function"),
    ],
)
def test_what_the_model_cannot_be_built_of_is_exit_code_4(llava, rendered, tmp_path, name, section, setting):
    folder = hub_files.write(name, tmp_path)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {section: setting}))
    result = llava("ask", rendered("h264"), "Why?", "-m", folder, "--dry-run")
    assert result.code == 4
    assert "config.json" in result.err
    assert len(result.err.splitlines()) == 1
