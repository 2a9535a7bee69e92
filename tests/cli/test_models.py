# SPDX-License-Identifier: Apache-2.0
"""`llava models`: what each released checkpoint is, as its authors run it, without a download."""

from __future__ import annotations

import json
import subprocess
import sys

from llava_cli.engine.loader import Loader
from llava_cli.engine.memory import GIB
from llava_cli.engine.types import LoadOptions
from llava_cli.media.clip import blank_clip
from llava_cli.models.family import TEXT_TOKENS
from llava_cli.models.published import DEMO_GIB, PUBLISHED
from llava_cli.session import open_family

# Frames by default, tokens a frame, context.
KNOWN = {
    "next-video-7b": (32, 144, 10240),
    "next-video-7b-32k": (32, 144, 32768),
    "next-video-34b": (24, 144, 4096),
    "llava-video-7b": (64, 210, 32768),
    "video-llava-7b": (8, 257, 4096),
    "interleave-0.5b": (8, 729, 32768),
    "onevision-7b": (32, 196, 32768),
    "onevision2-8b": (32, 196, 40960),
}

# As far as their cards were seen.
LICENCES = {
    "next-video-7b": "llama2",
    "next-video-7b-dpo": "llama2",
    "next-video-34b": "llama2",
    "llava-video-7b": "apache-2.0",
    "interleave-0.5b": "tongyi-qianwen-research",
    "interleave-7b": "tongyi-qianwen-research",
    "interleave-7b-dpo": "tongyi-qianwen-research",
    "onevision-0.5b": "apache-2.0",
    "onevision-7b": "apache-2.0",
    "onevision-72b": "apache-2.0",
    "onevision2-8b": "apache-2.0",
}


def test_every_released_checkpoint_is_listed(llava):
    result = llava("models", "--json")
    assert result.code == 0, result.err
    rows = {row["name"]: row for row in map(json.loads, result.out.splitlines())}
    assert list(rows) == [*PUBLISHED, "demo"]
    for name, (frames, tokens, context) in KNOWN.items():
        row = rows[name]
        assert (row["frames"], row["tokens_per_frame"], row["context"]) == (frames, tokens, context), name
    demo = rows.pop("demo")
    assert (demo["hub_id"], demo["frames"], demo["tokens_per_frame"], demo["licence"]) == (None, 8, 16, "apache-2.0")
    for name, row in rows.items():
        assert row["hub_id"].count("/") == 1
        assert 0 < row["nf4_gib"] < row["bf16_gib"]
        assert row["licence"] == LICENCES.get(name)
    assert 13 < rows["next-video-7b"]["bf16_gib"] < 18


def test_listing_them_builds_no_model():
    """Nor does it need what would: it is the first thing that a newcomer tries."""
    script = (
        "import sys; sys.modules |= dict.fromkeys(('torch', 'transformers', 'accelerate', 'PIL', 'av', 'cv2'))\n"
        "sys.argv = ['llava', 'models']\n"
        "from llava_cli.cli.app import main\n"
        "main()"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) == len(PUBLISHED) + 2


def test_the_memory_listed_is_what_the_engine_counts():
    for name in (*PUBLISHED, "demo"):
        family = open_family(name, dummy=name != "demo")
        prompt = family.prompt_tokens(blank_clip(family.view, family.view.sampling.frames)) + TEXT_TOKENS
        loader = Loader(family, LoadOptions("cpu", "bfloat16"))
        counted = tuple(round(loader.plan_quantized([(prompt, 0)], bits).total / GIB, 1) for bits in (None, "4bit"))
        assert (PUBLISHED[name].gib if name in PUBLISHED else DEMO_GIB) == counted, name


def test_the_table_is_for_people(llava):
    lines = llava("models").out.splitlines()
    assert lines[0].startswith("NAME")
    assert len(lines) == len(PUBLISHED) + 2
    assert "llava-hf/LLaVA-NeXT-Video-7B-hf" in lines[1]
    assert "see its card" in next(line for line in lines if line.startswith("video-llava-7b "))
    assert "built in" in lines[-1]


def test_the_table_fits_a_narrow_window():
    from llava_cli.cli.models import Row, _table

    hub_id, kind = "llava-hf/LLaVA-NeXT-Video-7B-hf", "llava-next-video"
    rows = [Row("next-video-7b", hub_id, "llama2", kind, 32, 144, 4096, 15.0, 5.0, 0.0)]
    wide, narrow = _table(rows, 0), _table(rows, 60)
    assert max(map(len, wide.splitlines())) > 100
    assert max(map(len, narrow.splitlines())) <= 60
    for words in ("next-video-7b", "BF16", "15.0 GiB"):
        assert words in narrow


def test_what_the_cache_holds_is_listed(llava, monkeypatch, tmp_path):
    import huggingface_hub.constants

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    for name, weights in (("LLaVA-NeXT-Video-7B-hf", True), ("llava-onevision-qwen2-7b-ov-hf", False)):
        folder = tmp_path / f"models--llava-hf--{name}"
        snapshot = folder / "snapshots" / "0123"
        snapshot.mkdir(parents=True)
        (folder / "blobs").mkdir()
        with (folder / "blobs" / "abc").open("wb") as blob:
            blob.truncate(3 << 30)
        (snapshot / ("model.safetensors" if weights else "config.json")).symlink_to(folder / "blobs" / "abc")
    rows = {row["name"]: row["local_gib"] for row in map(json.loads, llava("models", "--json").out.splitlines())}
    assert {name for name, size in rows.items() if size} == {"next-video-7b"}
    assert rows["next-video-7b"] == 3.0


def test_pull_says_what_is_wrong(llava, monkeypatch, tmp_path):
    import huggingface_hub.constants

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    result = llava("models", "pull", "onevision-0.5b")
    assert result.code == 4
    assert "HF_HUB_OFFLINE" in result.err
    assert llava("models", "pull", "no-such-name").code == 4


def test_pull_prints_the_folder(llava, tiny):
    assert llava("models", "pull", tiny).out == f"{tiny}\n"
