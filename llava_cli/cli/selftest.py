# SPDX-License-Identifier: Apache-2.0
"""The self-test of `llava doctor`: the built-in checkpoint, a clip that is drawn, and things that must be the same."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from llava_cli.cli.checks import Check
from llava_cli.errors import first_line
from llava_cli.request import Request
from llava_cli.words import counted

if TYPE_CHECKING:
    from llava_cli.answer import Prepared
    from llava_cli.media.opened import OpenMedia
    from llava_cli.session import Session

_INSTALL = "install the tested versions: pip install -c constraints.txt ."


class Wrong(Exception):
    """A part of the self-test found what must not be."""


def run(model: str = "demo") -> list[Check]:
    """Test the built-in checkpoint and the decoders."""
    from llava_cli.demo.show import CLIP_QUESTIONS, write_clip
    from llava_cli.engine.types import Generation, LoadOptions
    from llava_cli.session import Session

    with tempfile.TemporaryDirectory(prefix="llava-") as folder:
        path = Path(folder) / "clip.mp4"
        requests = [Request(question, (str(path),), generation=Generation(32)) for question, _ in CLIP_QUESTIONS]
        try:
            write_clip(path)
            with Session(model, load=LoadOptions("cpu", "float32")) as session, session.open_media() as media:
                checks = [_checked("PyAV = OpenCV", lambda: _decoders_agree(path, session, media))]
                prepared = [session.prepare(request, media) for request in requests]
                truth = CLIP_QUESTIONS[0][1] if model == "demo" else None
                checks.append(_checked("answers", lambda: _answers(session, prepared[0], truth)))
                checks.append(_checked("batch = single", lambda: _batch_is_single(session, prepared)))
                checks.append(_checked("4-bit loads", lambda: _four_bit(model, requests[0])))
        except Exception as error:
            return [Check("self-test", "problem", _told(error), _INSTALL)]
    return checks


def _checked(name: str, test: Callable[[], str]) -> Check:
    try:
        return Check(f"self-test: {name}", "ok", test())
    except Exception as error:
        return Check(f"self-test: {name}", "problem", _told(error), _INSTALL)


def _told(error: Exception) -> str:
    return str(error) if isinstance(error, Wrong) else f"{type(error).__name__}: {first_line(error)}"


def _decoders_agree(path: Path, session: Session, media: OpenMedia) -> str:
    import numpy as np

    from llava_cli.media import opencv
    from llava_cli.media.clip import Clip
    from llava_cli.media.opening import open_source

    request = Request(media=(str(path),))
    first = session.look(request, media)[0]
    if not isinstance(first, Clip):
        raise Wrong("a video was read as an image")
    with open_source(path) as source:
        second = opencv.read_clip(source, session.view(request))
    if first.indices != second.indices or first.frames.shape != second.frames.shape:
        raise Wrong(f"PyAV reads frames {first.indices}, OpenCV {second.indices}")
    difference = float(np.abs(first.frames.astype(int) - second.frames.astype(int)).mean())
    if difference > 4:
        raise Wrong(f"the two decoders' pixels differ by {difference:.1f} of 255 on average")
    return f"the same {counted(len(first.indices), 'frame')}, pixels differ by {difference:.2f} of 255 on average"


def _answers(session: Session, prepared: Prepared, truth: str | None) -> str:
    answer = session.engine.answer([prepared.query])[0].text
    if truth is not None and answer != truth:
        raise Wrong(f"asked {prepared.question!r}, it answers {answer!r} instead of {truth!r}")
    return f"{prepared.question} {answer}"


def _batch_is_single(session: Session, prepared: Sequence[Prepared]) -> str:
    queries = [one.query for one in prepared]
    together = [answer.text for answer in session.engine.answer(queries)]
    if together != [session.engine.answer([query])[0].text for query in queries]:
        raise Wrong("answers in a batch differ from single answers")
    return f"{len(queries)} questions, the same answers"


def _four_bit(model: str, request: Request) -> str:
    from llava_cli.engine.types import LoadOptions
    from llava_cli.session import Session

    with Session(model, load=LoadOptions("cpu", "float32", quantization="4bit")) as session:
        if not session.ask(request).completion.completion_tokens:
            raise Wrong("the quantized checkpoint gives no answer")
    return "and answers"
