# SPDX-License-Identifier: Apache-2.0
"""Answers that no model gave, for tests of what is made of them."""

from __future__ import annotations

from pictures import clip, still

from llava_cli.engine.types import Completion, ModelInfo, Timing
from llava_cli.media.clip import Clip
from llava_cli.record import answer_record
from llava_cli.request import Request

MODEL = ModelInfo("someone/tiny", "0123", "llava-next-video", "bfloat16", None, "cuda:0", "sdpa")
CLIP, STILL = clip(2, 8, 8), still(9, 7)


def completion(**changes: object) -> Completion:
    shown = {"text": "A cat.", "finish_reason": "stop", "media": (STILL, CLIP), "visual_tokens": (70, 8)}
    counts = {"prompt_tokens": 90, "completion_tokens": 4, "template": "checkpoint", "timing": Timing(load_s=1.23456)}
    return Completion(**(shown | counts | changes))  # type: ignore[arg-type]


def answered(question: str = "What?", asked: dict | None = None, clip: Clip = CLIP, **changes: object) -> dict:
    """A record."""
    request = Request(question, **(asked or {}))  # type: ignore[arg-type]
    done = completion(media=(STILL, clip), **changes)
    return answer_record(request.asked(), [clip, STILL], done, MODEL, decode_s=0.5)
