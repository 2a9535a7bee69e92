# SPDX-License-Identifier: Apache-2.0
"""`llava models show`: everything about one checkpoint that its small files tell."""

from __future__ import annotations

import json


def test_show_a_released_checkpoint(llava):
    shown = json.loads(llava("models", "show", "llava-video-7b", "--json").out)
    assert (shown["family"], shown["frames"], shown["context"]) == ("llava-video", 64, 32768)
    assert 7e9 < shown["parameters"] < 9e9
    assert shown["visual_tokens"] == 64 * 210
    for row in shown["memory"]:
        assert 0 < row["4bit"] < row["8bit"] < row["bf16"]
    assert [row["frames"] for row in shown["memory"]] == [8, 16, 32, 64]


def test_show_a_folder(llava, tiny):
    shown = json.loads(llava("models", "show", tiny, "--json").out)
    assert shown["folder"] == str(tiny)
    assert "What happens? ASSISTANT:" in shown["example"]
    text = llava("models", "show", tiny).out
    assert "2048 tokens" in text
    assert "<video>" in text
