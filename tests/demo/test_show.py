# SPDX-License-Identifier: Apache-2.0
"""What `llava demo` shows is true, and what the checkpoint says of it too."""

from pathlib import Path

from llava_cli.demo import show
from llava_cli.demo.training.measure import Answerer


def test_the_show(answer: Answerer, tmp_path: Path) -> None:
    show.write_clip(tmp_path / "clip.mp4")
    show.write_still(tmp_path / "still.png")
    for name, pairs in (("clip.mp4", show.CLIP_QUESTIONS), ("still.png", show.STILL_QUESTIONS)):
        questions, truths = zip(*pairs, strict=True)
        assert answer(tmp_path / name, list(questions)) == list(truths)
