# SPDX-License-Identifier: Apache-2.0
"""The record: what `--json` prints and a ledger line holds. Its keys are a contract, kept by a test."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from llava_cli import __version__
from llava_cli.engine.memory import GIB, MemoryPlan
from llava_cli.engine.types import Completion, Generation, ModelInfo, Timing
from llava_cli.errors import LlavaError
from llava_cli.media.clip import Clip, Media
from llava_cli.models.prompt import Prompt
from llava_cli.words import counted, one_line

SCHEMA_VERSION = 1


def answer_record(
    question: str,
    media: Sequence[Media],
    answer: Completion,
    model: ModelInfo,
    generation: Generation,
    decode_s: float,
    warnings: Sequence[str] = (),
) -> dict[str, Any]:
    """The record of an answer.

    `media` are in the order in which the user named them, `warnings` what was changed of what was asked for.
    """
    tokens = {id(medium): count for medium, count in zip(answer.media, answer.visual_tokens, strict=True)}
    return _record(
        question,
        "ok",
        answer=answer.text,
        finish_reason=answer.finish_reason,
        model={**asdict(model), "template": answer.template},
        media=[_media(medium, tokens[id(medium)]) for medium in media],
        generation=_generation(generation),
        usage={
            "prompt_tokens": answer.prompt_tokens,
            "visual_tokens": sum(answer.visual_tokens),
            "completion_tokens": answer.completion_tokens,
        },
        timing=_rounded(answer.timing, decode_s),
        warnings=list(warnings),
    )


def plan_record(
    question: str,
    prompt: Prompt,
    model: ModelInfo,
    generation: Generation,
    memory: MemoryPlan,
    warnings: Sequence[str],
) -> dict[str, Any]:
    """The record of a dry run: what would be shown, and what it would take."""
    receipts = [_media(*pair) for pair in zip(prompt.media, prompt.visual_tokens, strict=True)]
    return _record(
        question,
        "planned",
        model={**asdict(model), "template": prompt.template},
        media=receipts,
        generation=_generation(generation),
        usage={"prompt_tokens": len(prompt.ids), "visual_tokens": sum(prompt.visual_tokens)},
        memory={**{key: int(size) for key, size in asdict(memory).items()}, "total": int(memory.total)},
        warnings=list(warnings),
    )


def plan_text(record: dict[str, Any]) -> str:
    """A dry run's record for people."""
    model, memory = record["model"], record["memory"]
    gib = {key: size / GIB for key, size in memory.items()}
    lines = [
        f"{model['checkpoint']}: {model['family']}, {model['quantization'] or model['dtype']} on {model['device']}"
    ]
    for medium in record["media"]:
        frames = f"{counted(len(medium['frames']), 'frame')}, " if "frames" in medium else ""
        lines.append(f"{one_line(medium['path'])}: {frames}{counted(medium['visual_tokens'], 'visual token')}")
    asked = counted(record["usage"]["prompt_tokens"], "token")
    lines.append(f"prompt: {asked}, and up to {record['generation']['max_new_tokens']} new")
    lines.append(
        f"memory: {gib['total']:.2f} GiB of {gib['free']:.2f} GiB free (weights {gib['weights']:.2f}, "
        f"cache {gib['cache']:.2f}, activations {gib['activations']:.2f}, fixed {gib['fixed']:.2f})"
    )
    if memory["total"] > memory["free"]:
        lines.append("this does not fit")
    return "\n".join(lines) + "\n"


def time_text(record: dict[str, Any], total_s: float) -> str:
    """Where an answer's time went, in one line. Decoding and loading go on at the same time."""
    timing, tokens = record["timing"], record["usage"]["completion_tokens"]
    decoding = timing["generate_s"] - timing["first_token_s"]
    rate = f", {(tokens - 1) / decoding:.1f} tokens/s" if tokens > 1 and decoding > 0 else ""
    return (
        f"time: decode {timing['decode_s']:.2f} s, load {timing['load_s']:.2f} s, encode {timing['encode_s']:.2f} s, "
        f"first token {timing['first_token_s']:.2f} s, {counted(tokens, 'token')} in "
        f"{timing['generate_s']:.2f} s{rate}; {total_s:.2f} s in all"
    )


def frames_record(medium: Media, visual_tokens: int) -> dict[str, Any]:
    """The record of what of a file would be shown, with no question about it."""
    return {"schema_version": SCHEMA_VERSION, **_media(medium, visual_tokens)}


def error_record(
    question: str | None,
    paths: Sequence[str],
    error: LlavaError,
    generation: Generation | None = None,
    media: Sequence[Media] = (),
    model: ModelInfo | None = None,
) -> dict[str, Any]:
    """The record of a failure, with all that is known: what is not is null or empty, and so is its id then."""
    known = {medium.info.path: _media(medium, None) for medium in media}
    return _record(
        question,
        "error",
        error={"code": error.code, "message": printable(str(error))},
        model=model and asdict(model),
        media=[known.get(path) or path_entry(path) for path in paths],
        generation=generation and _generation(generation),
    )


def to_json(record: dict[str, Any]) -> str:
    """One line of ASCII, so that no name and no answer can break a pipeline's encoding or its lines."""
    return json.dumps(record, ensure_ascii=True, allow_nan=False)


def printable(text: str) -> str:
    """Text that any terminal or file can take: bytes of a file name that are no characters become escapes."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def _record(question: str | None, status: str, **known: Any) -> dict[str, Any]:
    question = None if question is None else printable(question)
    asked = [question, [medium["path"] for medium in known["media"]], known["model"], known["generation"]]
    name = hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()[:16]
    return {
        "schema_version": SCHEMA_VERSION,
        "id": None if question is None else name,
        "status": status,
        "question": question,
        **known,
        "versions": _versions(),
    }


def _media(medium: Media, visual_tokens: int | None) -> dict[str, Any]:
    """A receipt: what of this file the model was shown."""
    info = medium.info
    receipt: dict[str, Any] = {
        **path_entry(info.path),
        "kind": info.kind,
        "width": info.width,
        "height": info.height,
        "duration": None if info.duration is None else round(info.duration, 6),
        "codec": info.codec,
        "rotation": info.rotation,
        "decoder": info.decoder,
    }
    if isinstance(medium, Clip):
        receipt["sampling"] = asdict(medium.sampling)
        receipt["frames"] = [
            {"index": index, "time": round(time, 6)} for index, time in zip(medium.indices, medium.times, strict=True)
        ]
    return {**receipt, "visual_tokens": visual_tokens, "warnings": list(info.warnings)}


def path_entry(path: str) -> dict[str, str]:
    """A path as text, and its very bytes where they are no text."""
    shown = printable(path)
    if shown == path:
        return {"path": path}
    return {"path": shown, "path_b64": base64.b64encode(path.encode("utf-8", "surrogateescape")).decode("ascii")}


def _generation(generation: Generation) -> dict[str, Any]:
    settings = {**asdict(generation), "do_sample": generation.do_sample}
    return {key: settings[key] for key in ("max_new_tokens", "do_sample", "temperature", "top_p", "seed")}


def _rounded(timing: Timing, decode_s: float) -> dict[str, float]:
    return {key: round(seconds, 4) for key, seconds in (asdict(timing) | {"decode_s": decode_s}).items()}


@cache
def _versions() -> dict[str, str | None]:
    return {"llava_cli": __version__} | {name: package_version(name) for name in ("transformers", "torch", "av")}


def package_version(name: str) -> str | None:
    """The version of an installed package; None where it is not installed."""
    try:
        return version(name)
    except PackageNotFoundError:
        return None
