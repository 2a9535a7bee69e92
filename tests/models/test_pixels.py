# SPDX-License-Identifier: Apache-2.0
"""The authors' preprocessing: frames that the decoder scales, and what a checkpoint's files say of it."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import torch
from media.rendering import SPECS, render
from PIL import Image
from tiny.llava_onevision2 import PREPROCESSOR
from tiny.parts import clip_preprocessor, siglip_preprocessor
from transformers.image_processing_backends import PilBackend
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil
from transformers.models.siglip.image_processing_pil_siglip import SiglipImageProcessorPil

from llava_cli.errors import ModelError
from llava_cli.media import Clip, load_media
from llava_cli.models.checkpoint import Checkpoint, open_checkpoint
from llava_cli.models.family import Family
from llava_cli.models.llava_next_video import LlavaNextVideo
from llava_cli.models.llava_onevision2 import LlavaOnevision2
from llava_cli.models.pixels import CLIP
from llava_cli.models.published import PUBLISHED
from llava_cli.models.registry import FAMILIES, family_of
from llava_cli.models.video_llava import VideoLlava

REAL_MEDIA = os.environ.get("LLAVA_TEST_MEDIA")
MEAN_BOUND, MAX_BOUND = 1.5, 24
NAMES = [family.name for family in FAMILIES]
SHAPES = {
    "wide": {"size": (642, 360)},
    "tall": {"size": (360, 642)},
    "odd": {"size": (257, 99), "pixels": "yuv444p"},
    "small": {"size": (40, 22)},
    "very wide": {"size": (640, 20)},
    "very tall": {"size": (20, 640)},
    "turned": {"size": (320, 180), "rotation": 90},
    "turned tall": {"size": (180, 322), "rotation": -90},
    "upside down": {"size": (162, 120), "rotation": 180},
    "mirrored": {"size": (320, 180), "rotation": 90, "mirrored": True},
    "wide pixels": {"size": (320, 240), "pixel_shape": Fraction(4, 3)},
    "10 bits": {"size": (320, 180), "pixels": "yuv420p10le"},
    "56": {"size": (56, 56)},
    "70": {"size": (70, 70)},
}
"""What is peculiar to the clips that both roads are compared on."""


@pytest.fixture(scope="module")
def shapes(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Return a function from the name of a shape to a clip of it, rendered on first use."""
    folder = tmp_path_factory.mktemp("shapes")

    def path_of(name: str) -> Path:
        path = folder / f"{name}.mp4"
        if not path.exists():
            render(dataclasses.replace(SPECS["h264"], frames=9, **SHAPES[name]), path)  # type: ignore[arg-type]
        return path

    return path_of


def changed(folder: Path, copy: Path, **settings: Any) -> Family:
    """The family of a tiny checkpoint, with some other settings in its preprocessor_config.json."""
    shutil.copytree(folder, copy, ignore=shutil.ignore_patterns("*.safetensors"), dirs_exist_ok=True)
    known = open_checkpoint(str(folder)).read_json("preprocessor_config.json")
    (copy / "preprocessor_config.json").write_text(json.dumps(known | settings))
    return family_of(open_checkpoint(str(copy)))


def seen(family: Family, clip: Clip) -> torch.Tensor:
    """What the family's vision tower sees of a clip."""
    if isinstance(family, LlavaOnevision2):
        return family.patches(clip)[0].flatten(0, 1)
    see = getattr(family, "clip_pixels", None) or getattr(family, "pixels", None)
    assert see is not None
    return see(clip)


def published(family: Family, frames: np.ndarray, **settings: Any) -> torch.Tensor:
    """What transformers' own image processor makes of whole frames, with the settings of a tiny checkpoint."""
    pictures = [Image.fromarray(frame) for frame in frames]
    if isinstance(family, LlavaOnevision2):
        said = {key: PREPROCESSOR[key] for key in ("min_pixels", "max_pixels", "temporal_patch_size")}
        return Qwen2VLImageProcessorPil(**said, **settings)(pictures, return_tensors="pt").pixel_values
    edge = family.view.size[0]
    processor: PilBackend = (
        CLIPImageProcessorPil(**clip_preprocessor(edge) | settings)
        if isinstance(family, LlavaNextVideo | VideoLlava)
        else SiglipImageProcessorPil(**siglip_preprocessor(edge) | settings)
    )
    return processor(pictures, return_tensors="pt").pixel_values


def whole(path: Path, family: Family) -> Clip:
    """The frames that the family wants, with all of their pixels."""
    return load_media(path, dataclasses.replace(family.view, fit="full"))  # type: ignore[return-value]


@pytest.mark.parametrize("family_name", NAMES)
@pytest.mark.parametrize("shape", SHAPES)
def test_frames_that_the_decoder_scales_are_the_published_preprocessing_s_bit_for_bit(
    checkpoints, shapes, family_name, shape
):
    family = family_of(open_checkpoint(str(checkpoints(family_name))))
    clip = load_media(shapes(shape), family.view)
    assert clip.pixels == "exact"
    if family.view.fit != "native":
        assert clip.frames.shape[1:] == (*family.view.size, 3)
    assert torch.equal(seen(family, clip), published(family, whole(shapes(shape), family).frames))


@pytest.mark.parametrize("name", ["h264", "vp9", "odd_size", "ten_bit"])
def test_and_so_they_are_of_the_published_loop_over_all_frames(checkpoints, rendered, name):
    family = family_of(open_checkpoint(str(checkpoints("llava-next-video"))))
    clip = load_media(rendered(name), family.view)
    with av.open(str(rendered(name))) as container:
        shots = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    wanted = np.arange(0, len(shots), len(shots) / len(clip.frames)).astype(int)
    assert torch.equal(seen(family, clip), published(family, np.stack([shots[i] for i in wanted])))


@pytest.mark.parametrize("family_name", sorted({*NAMES} - {"llava-video"}))  # whose files hold no such settings
@pytest.mark.parametrize(
    "settings",
    [{"resample": filter} for filter in (0, 1, 2, 4, 5)]
    + [{"rescale_factor": 1 / 127.5}, {"do_rescale": False}, {"do_normalize": False}, {"image_mean": [0.1, 0.2, 0.3]}],
    ids=str,
)
def test_other_settings_are_done_as_transformers_does(checkpoints, shapes, tmp_path, family_name, settings):
    family = changed(checkpoints(family_name), tmp_path, **settings)
    clip = load_media(shapes("wide"), family.view)
    assert torch.equal(seen(family, clip), published(family, whole(shapes("wide"), family).frames, **settings))


@pytest.mark.parametrize("family_name", ["llava-next-video", "llava-interleave", "llava-onevision"])
@pytest.mark.parametrize("fit", ["crop", "squash"])
def test_the_size_says_whether_frames_are_cropped(checkpoints, shapes, tmp_path, family_name, fit):
    edge = family_of(open_checkpoint(str(checkpoints(family_name)))).view.size[0]
    square = {"height": edge, "width": edge}
    size = {"shortest_edge": edge} if fit == "crop" else square
    cropping = {"size": size, "do_center_crop": fit == "crop", "crop_size": square if fit == "crop" else None}
    family = changed(checkpoints(family_name), tmp_path, **cropping)
    assert family.view.fit == fit
    expected = CLIPImageProcessorPil(
        **{"image_mean": list(family.tower.image_mean), "image_std": list(family.tower.image_std)} | cropping
    )
    frames = [Image.fromarray(frame) for frame in whole(shapes("wide"), family).frames]
    clip = load_media(shapes("wide"), family.view)
    assert torch.equal(seen(family, clip), expected(frames, return_tensors="pt").pixel_values)


# As the makers of the released checkpoints write them.
LEVELS = {
    "do_convert_rgb": True,
    "do_normalize": True,
    "do_rescale": True,
    "do_resize": True,
    "resample": 3,
    "rescale_factor": 1 / 255,
}
RELEASED = {
    "next-video-7b": LEVELS | {
        "crop_size": {"height": 336, "width": 336}, "do_center_crop": True, "size": {"shortest_edge": 336},
        "image_processor_type": "LlavaNextVideoImageProcessor", "do_pad": True,
    },
    "video-llava-7b": LEVELS | {
        "crop_size": {"height": 224, "width": 224}, "do_center_crop": True, "size": {"shortest_edge": 224},
        "image_processor_type": "VideoLlavaImageProcessor",
    },
    "interleave-7b": LEVELS | {
        "do_convert_rgb": None, "size": {"height": 384, "width": 384}, "image_processor_type": "SiglipImageProcessor",
    },
    "onevision-7b": LEVELS | {
        "size": {"height": 384, "width": 384}, "image_processor_type": "LlavaOnevisionImageProcessor", "do_pad": True,
    },
}  # fmt: skip


@pytest.mark.parametrize("name", RELEASED)
def test_what_the_released_files_say_is_what_is_done_anyway(tmp_path, name):
    for filename in ("preprocessor_config.json", "video_preprocessor_config.json"):
        (tmp_path / filename).write_text(json.dumps(RELEASED[name]))
    said, silent = (
        family_of(Checkpoint("x", folder, PUBLISHED[name].config)) for folder in (tmp_path, Path("nowhere"))
    )
    assert said.view == silent.view
    assert said.preprocessing == said.frame_preprocessing == silent.preprocessing


FILES = [("preprocessor_config.json", name) for name in RELEASED]
# Interleave's frames are images.
FILES += [("video_preprocessor_config.json", name) for name in RELEASED if not name.startswith("interleave")]


@pytest.mark.parametrize(
    "setting",
    [
        {"do_resize": False},
        {"size": {"shortest_edge": 500}},
        {"size": {"height": 300, "width": 400}},
        {"size": {"shortest_edge": 384, "longest_edge": 500}},
        {"size": {"shortest_edge": 336}, "do_center_crop": False},
        {"crop_size": {"height": 300, "width": 300}, "do_center_crop": True},
        {"do_pad": True, "image_processor_type": "LlavaImageProcessorFast"},
        {"do_pad": True, "pad_size": {"height": 999, "width": 999}},
        {"rescale_factor": 0},
    ],
    ids=str,
)
@pytest.mark.parametrize(("filename", "name"), FILES)
def test_what_cannot_be_done_is_refused_by_file_and_key(tmp_path, name, setting, filename):
    (tmp_path / filename).write_text(json.dumps(setting))
    family = family_of(Checkpoint("tiny", tmp_path, PUBLISHED[name].config))
    with pytest.raises(ModelError, match=rf"^tiny: {filename} says ({'|'.join(setting)}) = [^\n]+$") as caught:
        _ = family.view
    assert caught.value.exit_code == 4


def test_fast_pixels_are_near(checkpoints, rendered):
    family = family_of(open_checkpoint(str(checkpoints("llava-next-video"))))
    for name in ("h264", "rotated_90", "vp9", "odd_size"):
        apart = difference(family, rendered(name))
        assert 0 < apart.mean() <= MEAN_BOUND
        assert apart.max() <= MAX_BOUND


def difference(family: Family, path: Path) -> np.ndarray:
    """Absolute difference of 8-bit levels between exact and fast pixels."""
    exact, fast = (load_media(path, dataclasses.replace(family.view, pixels=way)).frames for way in ("exact", "fast"))
    return np.abs(exact.astype(int) - fast)


@pytest.mark.skipif(REAL_MEDIA is None, reason="LLAVA_TEST_MEDIA names no folder of real media")
def test_on_real_clips(checkpoints, record_property):
    family = family_of(open_checkpoint(str(checkpoints("llava-next-video"))))
    for path in sorted(Path(REAL_MEDIA, "real").glob("*.mp4")):
        apart = difference(family, path)
        record_property(path.name, f"mean {apart.mean():.2f} max {apart.max():.0f}")
        print(f"{path.name}: mean {apart.mean():.2f}, max {apart.max():.0f} of 255 levels")
        assert apart.mean() <= MEAN_BOUND
        assert apart.max() <= MAX_BOUND


@pytest.mark.parametrize("changed", [{}, {"do_rescale": False}, {"do_normalize": False}, {"rescale_factor": 1 / 127.5}])
def test_frames_become_the_numbers_that_the_library_makes_of_each_pixel(changed):
    preprocessing = dataclasses.replace(CLIP, **changed)
    frames = np.random.default_rng(0).integers(0, 256, (3, 28, 28, 3), np.uint8)
    frames[0, :, :, 0] = np.arange(784).reshape(28, 28) % 256
    frames.flags.writeable = False
    processor = CLIPImageProcessorPil(**preprocessing.arguments(28))
    wanted = processor(list(frames), return_tensors="pt", input_data_format="channels_last").pixel_values
    assert torch.equal(preprocessing.apply(frames, 28), wanted)
