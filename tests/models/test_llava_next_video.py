# SPDX-License-Identifier: Apache-2.0
"""LLaVA-NeXT-Video: geometry from the checkpoint's own config, tokens as many as features."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import tiny_checkpoint
from pictures import clip, still

from llava_cli.models.checkpoint import Checkpoint, open_checkpoint
from llava_cli.models.llava_next_video import MISTRAL, VICUNA, YI, LlavaNextVideo

# What the hub's config.json of the 7B says, as far as it matters here.
SEVEN_B = {
    "model_type": "llava_next_video",
    "image_token_index": 32001,
    "video_token_index": 32000,
    "image_grid_pinpoints": [[336, 672], [672, 336], [672, 672], [1008, 336], [336, 1008]],
    "spatial_pool_stride": 2,
    "vision_config": {"image_size": 336, "patch_size": 14},
    "text_config": {
        "model_type": "llama",
        "vocab_size": 32064,
        "max_position_embeddings": 4096,
        "rope_scaling": {"type": "linear", "factor": 2.5},
    },
}


def family(config: dict, folder: Path = Path("nowhere")) -> LlavaNextVideo:
    return LlavaNextVideo(Checkpoint("test", folder, config))


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return tiny_checkpoint.make(tmp_path_factory.mktemp("tiny"))


def test_the_7b_s_geometry():
    seven = family(SEVEN_B)
    assert seven.view.size == (336, 336)
    assert seven.view.fit == "crop"
    assert (seven.view.sampling.policy, seven.view.sampling.frames) == ("uniform", 32)
    assert seven.visual_tokens(clip(32, 336, 336)) == 4608
    assert seven.visual_tokens(still(336, 336)) == 576 + 24 * (24 + 1)
    assert seven.visual_tokens(still(480, 640)) == 576 + 36 * (48 + 1)
    assert seven.context == 10240
    assert seven.placeholder_ids == {"video": 32000, "image": 32001}


def test_geometry_is_never_assumed():
    other = family(SEVEN_B | {"vision_config": {"image_size": 224, "patch_size": 14}, "spatial_pool_stride": 4})
    assert other.view.size == (224, 224)
    assert other.visual_tokens(clip(2, 224, 224)) == 2 * 16


def test_frames_that_the_checkpoint_asks_for(tmp_path):
    (tmp_path / "processor_config.json").write_text(json.dumps({"video_processor": {"num_frames": 8}}))
    assert family(SEVEN_B, tmp_path).view.sampling.frames == 8


@pytest.mark.parametrize(
    ("text", "template"),
    [
        ({"model_type": "llama", "vocab_size": 32064}, VICUNA),
        ({"model_type": "mistral", "vocab_size": 32064}, MISTRAL),
        ({"model_type": "llama", "vocab_size": 64064}, YI),
    ],
)
def test_the_published_template_follows_the_language_model(text, template):
    assert family(SEVEN_B | {"text_config": text}).template == template


def test_stills_of_any_size_take_as_many_tokens_as_they_have_features(folder):
    import torch

    tiny = LlavaNextVideo(open_checkpoint(str(folder)))
    model = tiny.model_class().from_pretrained(folder).eval()
    drawn = np.random.default_rng(0).integers(9, 400, (40, 2)).tolist()
    sizes = [*drawn, [56, 56], [1, 300], [300, 1], [56, 112]]
    with torch.inference_mode():
        for height, width in sizes:
            seen = still(height, width)
            assert len(tiny.encode(model, seen)) == tiny.visual_tokens(seen), (height, width)


def test_long_clips_are_encoded_in_parts_to_the_same_features(folder):
    import torch

    tiny = LlavaNextVideo(open_checkpoint(str(folder)))
    model = tiny.model_class().from_pretrained(folder).eval()
    long = clip(37, 56, 56)
    with torch.inference_mode():
        whole = model.get_video_features(tiny.clip_pixels(long)[None]).pooler_output[0]
        assert torch.allclose(tiny.encode(model, long), whole, atol=1e-5)
    assert len(whole) == tiny.visual_tokens(long)


def test_full_size_frames_are_scaled_as_the_authors_do(folder):
    """Pillow bicubic to the shortest edge, then the centre; compared with the same steps written out."""
    from PIL import Image

    tiny = LlavaNextVideo(open_checkpoint(str(folder)))
    seen = clip(2, 90, 131)
    scaled = Image.fromarray(seen.frames[1]).resize((int(56 * 131 / 90), 56), Image.Resampling.BICUBIC)
    left = (scaled.width - 56) // 2
    pixels = np.asarray(scaled, np.float32)[:, left : left + 56] / 255
    mean, std = [0.48145466, 0.4578275, 0.40821073], [0.26862954, 0.26130258, 0.27577711]
    expected = ((pixels - mean) / std).transpose(2, 0, 1)
    assert np.abs(tiny.clip_pixels(seen)[1].numpy() - expected).max() < 1e-5
