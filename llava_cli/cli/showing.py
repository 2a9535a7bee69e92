# SPDX-License-Identifier: Apache-2.0
"""What `llava models show` says of one checkpoint."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, Any

from llava_cli.cli.tables import table
from llava_cli.engine.memory import GIB
from llava_cli.engine.types import Quantization
from llava_cli.errors import ModelError
from llava_cli.media.clip import blank_clip
from llava_cli.models.cache import cached_sizes
from llava_cli.models.checkpoint import DEMO
from llava_cli.models.published import DEMO_LICENCE, PUBLISHED
from llava_cli.words import counted, one_line, visible

if TYPE_CHECKING:
    from llava_cli.media.clip import Clip
    from llava_cli.models.family import Family

EXAMPLE_QUESTION = "What happens?"
_NUMBERS: dict[str, Quantization | None] = {"bf16": None, "8bit": "8bit", "4bit": "4bit"}


def describe(family: Family) -> dict[str, Any]:
    """Everything about a checkpoint that its small files tell."""
    from llava_cli.engine.loader import Loader
    from llava_cli.engine.types import LoadOptions

    checkpoint, view = family.checkpoint, family.view
    clip = blank_clip(view, view.sampling.frames)
    tokens = family.visual_tokens(clip)
    hub_id = PUBLISHED[checkpoint.name].hub_id if checkpoint.dummy else checkpoint.hub_id
    released = next((one for one in PUBLISHED.values() if one.hub_id == hub_id), None)
    loader = Loader(family, LoadOptions("cpu", "bfloat16"))
    return {
        "checkpoint": checkpoint.name,
        "hub_id": hub_id,
        "revision": checkpoint.revision,
        "folder": None if checkpoint.dummy else str(checkpoint.folder),
        "local_bytes": cached_sizes().get(hub_id or ""),
        "licence": DEMO_LICENCE if checkpoint.name == DEMO else released.licence if released else None,
        "unconfirmed": released.unconfirmed if released and checkpoint.dummy else None,
        "family": family.name,
        "parameters": loader.parameters,
        "context": family.context,
        "frames": view.sampling.frames,
        "sampling": view.sampling.policy,
        "frame_size": list(view.size),
        "fit": view.fit,
        "frame_pixels": [view.sizes.least, view.sizes.most] if view.sizes else None,
        "visual_tokens": tokens,
        "memory": _memory(loader, family, family.prompt_tokens(clip), len(clip.frames)),
        "example": _example(loader, family, clip),
    }


def _memory(loader: Any, family: Family, tokens: int, frames: int) -> list[dict[str, float | int]]:
    """GiB that one video takes, for some numbers of frames that the context has room for."""
    from llava_cli.models.family import TEXT_TOKENS

    rows = []
    for count in sorted({8, 16, 32, 64, frames}):
        prompt = tokens * count // frames + TEXT_TOKENS
        if prompt <= family.context:
            sizes = {
                key: round(loader.plan_quantized([(prompt, 0)], bits).total / GIB, 1) for key, bits in _NUMBERS.items()
            }
            rows.append({"frames": count, "prompt_tokens": prompt, **sizes})
    return rows


def _example(loader: Any, family: Family, clip: Clip) -> str | None:
    """A prompt as the checkpoint reads it; None where the tokenizer is not at hand."""
    from llava_cli.models.messages import ask

    try:
        return str(family.prompt(loader.tokenizer, ask(EXAMPLE_QUESTION, [clip])).text)
    except ModelError:
        return None


def text(report: dict[str, Any]) -> str:
    """A report for people."""
    local = f"{report['local_bytes'] / GIB:.1f} GiB in the cache" if report["local_bytes"] else "not in the cache"
    height, width = report["frame_size"]
    size = f"{width}x{height}, {report['fit']}"
    if report["frame_pixels"]:
        size = "each in its own size, of {} to {} pixels".format(*report["frame_pixels"])
    most = "at most " if report["frame_pixels"] else ""
    facts = {
        "checkpoint": report["checkpoint"],
        "hub": f"{report['hub_id']}, {local}" if report["hub_id"] else None,
        "folder": report["folder"],
        "licence": report["licence"] or ("not known here: see its card" if report["hub_id"] else None),
        "family": report["family"],
        "parameters": f"{report['parameters'] / 1e9:.2f} billion",
        "context": counted(report["context"], "token"),
        "frames": f"{report['frames']} by default, {report['sampling']}, {size}",
        "visual tokens": f"{most}{report['visual_tokens']} for {counted(report['frames'], 'frame')}",
        "unconfirmed": report["unconfirmed"],
    }
    lines = [f"{name + ':':<15}{one_line(str(value))}" for name, value in facts.items() if value]
    lines += ["", "memory in GiB, for one video:", _table(report["memory"])]
    if report["example"] is not None:
        prompt = textwrap.indent(visible(report["example"]), "  ", lambda line: True)
        lines += [f'asked "{EXAMPLE_QUESTION}" about a video, it reads:', "", prompt]
    return "\n".join(lines) + "\n"


def _table(rows: list[dict[str, Any]]) -> str:
    if not rows:
        return "  its context has no room for 8 frames\n"
    head = ["frames", "prompt tokens", *_NUMBERS]
    return table([head, *([str(value) for value in row.values()] for row in rows)], indent="  ", least=13)
