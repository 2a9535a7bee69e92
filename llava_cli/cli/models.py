# SPDX-License-Identifier: Apache-2.0
"""`llava models`: the released checkpoints, and what each takes."""

from __future__ import annotations

import json as json_module
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from llava_cli.cli import options
from llava_cli.models.published import PUBLISHED
from llava_cli.output import Output, guarded_stdout

if TYPE_CHECKING:
    from llava_cli.media.clip import Clip, View

# What an answer of usual length adds to the video's tokens: the question, the template, the answer.
_TEXT_TOKENS = 320


@dataclass(frozen=True)
class Row:
    """One released checkpoint."""

    name: str
    hub_id: str
    family: str
    frames: int
    """By default."""
    tokens_per_frame: int
    context: int | None
    bf16_gib: float
    """Memory for one video of the default number of frames."""
    nf4_gib: float


def models(json: options.Json = False) -> None:
    """List the released checkpoints: short name, frames, tokens, context, and memory in 16 and 4 bit.

    The memory is for one video with the default number of frames. Nothing is downloaded.
    """
    with guarded_stdout() as stdout:
        out = Output(stdout)
        with out.working("counting"):
            rows = [_row(name) for name in PUBLISHED]
        if json:
            out.write("".join(json_module.dumps(asdict(row)) + "\n" for row in rows))
        else:
            out.write(_table(rows))


def _row(name: str) -> Row:
    from llava_cli.engine.load import Loader
    from llava_cli.engine.options import LoadOptions
    from llava_cli.models.checkpoint import dummy_checkpoint
    from llava_cli.models.registry import family_of

    family = family_of(dummy_checkpoint(name))
    clip = _blank_clip(family.view)
    tokens, frames = family.visual_tokens(clip), len(clip.frames)
    loader = Loader(family, LoadOptions("cpu", "bfloat16"))
    bf16, nf4 = (loader.plan_quantized([(tokens + _TEXT_TOKENS, 0)], bits).total / (1 << 30) for bits in (None, "4bit"))
    return Row(
        name=name,
        hub_id=PUBLISHED[name].hub_id,
        family=family.name,
        frames=frames,
        tokens_per_frame=tokens // frames,
        context=family.context,
        bf16_gib=round(bf16, 1),
        nf4_gib=round(nf4, 1),
    )


def _blank_clip(view: View) -> Clip:
    """A clip as the family wants it, of no picture."""
    import numpy as np

    from llava_cli.media.clip import Clip, MediaInfo

    frames = view.sampling.frames
    info = MediaInfo("blank", "video", view.size[1], view.size[0], None, "pyav")
    pixels = np.broadcast_to(np.uint8(0), (frames, *view.size, 3))
    return Clip(pixels, tuple(range(frames)), tuple(map(float, range(frames))), info, view.sampling)


def _table(rows: list[Row]) -> str:
    head = ("NAME", "FAMILY", "FRAMES", "TOKENS/FRAME", "CONTEXT", "BF16", "4-BIT", "HUB ID")
    cells = [
        (r.name, r.family, str(r.frames), str(r.tokens_per_frame), str(r.context or "?"), f"{r.bf16_gib} GiB",
         f"{r.nf4_gib} GiB", r.hub_id)
        for r in rows
    ]  # fmt: skip
    widths = [max(map(len, column)) for column in zip(head, *cells, strict=True)]
    lines = ["  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)) for row in (head, *cells)]
    return "\n".join(line.rstrip() for line in lines) + "\n"
