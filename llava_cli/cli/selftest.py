# SPDX-License-Identifier: Apache-2.0
"""The self-test of `llava doctor`: the built-in checkpoint, a clip that is drawn, and things that must be the same."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from llava_cli.cli.checks import Check

if TYPE_CHECKING:
    from llava_cli.engine.types import Engine
    from llava_cli.media.clip import Clip
    from llava_cli.models.family import Family

_INSTALL = "install the versions that were tested: pip install -c constraints.txt ."


class Wrong(Exception):
    """A part of the self-test found what must not be."""


def run(model: str = "demo") -> list[Check]:
    """Test the built-in checkpoint and the decoders."""
    from llava_cli.models.checkpoint import open_checkpoint
    from llava_cli.models.registry import family_of

    checks: list[Check] = []
    with tempfile.TemporaryDirectory(prefix="llava-") as folder:
        try:
            from llava_cli.demo.show import write_clip

            path = Path(folder) / "clip.mp4"
            write_clip(path)
            family = family_of(open_checkpoint(model))
            checks.append(_checked("PyAV = OpenCV", lambda: _decoders_agree(path, family)))
            clip = _clip(path, family)
            engine = _load(family)
        except Exception as error:
            return [*checks, Check("self-test", "problem", _told(error), _INSTALL)]
        checks.append(_checked("answers", lambda: _answers(engine, clip, model)))
        checks.append(_checked("batch = single", lambda: _batch_is_single(engine, clip)))
        checks.append(_checked("4-bit loads", lambda: _four_bit(family, clip)))
    return checks


def _checked(name: str, test: Callable[[], str]) -> Check:
    try:
        return Check(f"self-test: {name}", "ok", test())
    except Exception as error:
        return Check(f"self-test: {name}", "problem", _told(error), _INSTALL)


def _told(error: Exception) -> str:
    return str(error) if isinstance(error, Wrong) else f"{type(error).__name__}: {str(error).partition(chr(10))[0]}"


def _clip(path: Path, family: Family) -> Clip:
    from llava_cli.media import load_media
    from llava_cli.media.clip import Clip

    clip = load_media(path, family.view)
    if not isinstance(clip, Clip):
        raise Wrong("a video was taken for an image")
    return clip


def _load(family: Family, four_bit: bool = False) -> Engine:
    from llava_cli.engine.loader import load
    from llava_cli.engine.types import LoadOptions

    return load(family, LoadOptions("cpu", "float32", quantization="4bit" if four_bit else None))


def _decoders_agree(path: Path, family: Family) -> str:
    import numpy as np

    from llava_cli.media import opencv
    from llava_cli.media.opening import open_source

    first = _clip(path, family)
    with open_source(path) as source:
        second = opencv.read_clip(source, family.view)
    if first.indices != second.indices or first.frames.shape != second.frames.shape:
        raise Wrong(f"PyAV shows frames {first.indices}, OpenCV {second.indices}")
    difference = float(np.abs(first.frames.astype(int) - second.frames.astype(int)).mean())
    if difference > 4:
        raise Wrong(f"the two decoders' pixels differ by {difference:.1f} of 255 on average")
    return f"the same {len(first.indices)} frames, pixels differ by {difference:.2f} of 255 on average"


def _answers(engine: Engine, clip: Clip, model: str) -> str:
    from llava_cli.demo.show import CLIP_QUESTIONS
    from llava_cli.engine.types import Generation
    from llava_cli.models.messages import ask

    question, truth = CLIP_QUESTIONS[0]
    answer = engine.answer([ask(question, [clip])], Generation(32))[0].text
    if model == "demo" and answer != truth:
        raise Wrong(f"asked {question!r}, it says {answer!r} instead of {truth!r}")
    return f"{question} {answer}"


def _batch_is_single(engine: Engine, clip: Clip) -> str:
    from llava_cli.demo.show import CLIP_QUESTIONS
    from llava_cli.engine.types import Generation
    from llava_cli.models.messages import ask

    asks = [ask(question, [clip]) for question, _ in CLIP_QUESTIONS]
    together = [answer.text for answer in engine.answer(asks, Generation(32))]
    single = [engine.answer([one], Generation(32))[0].text for one in asks]
    if together != single:
        raise Wrong("questions asked together are answered differently than one by one")
    return f"{len(asks)} questions, the same answers"


def _four_bit(family: Family, clip: Clip) -> str:
    from llava_cli.engine.types import Generation
    from llava_cli.models.messages import ask

    answer = _load(family, four_bit=True).answer([ask("What shape is it?", [clip])], Generation(8))[0]
    if not answer.completion_tokens:
        raise Wrong("the quantized checkpoint says nothing")
    return "and answers"
