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


def test_what_is_not_sure_of_a_released_checkpoint_is_said(llava):
    assert "4096 tokens then" in json.loads(llava("models", "show", "next-video-7b-dpo", "--json").out)["unconfirmed"]
    assert "add_faster_video" in llava("models", "show", "llava-video-72b").out
    assert json.loads(llava("models", "show", "next-video-7b", "--json").out)["unconfirmed"] is None


def test_licences(llava, tiny):
    shown = {name: llava("models", "show", name).out for name in ("onevision-7b", "video-llava-7b", "demo", tiny)}
    assert "licence:       apache-2.0\n" in shown["onevision-7b"]
    assert "licence:       not known here: see its card\n" in shown["video-llava-7b"]
    assert "licence:       apache-2.0\n" in shown["demo"]
    assert "licence" not in shown[tiny]
