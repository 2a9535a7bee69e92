# SPDX-License-Identifier: Apache-2.0
"""The record: what `--json` prints and a ledger line holds. Its keys are a contract, kept by a test."""

from __future__ import annotations

import hashlib
import json
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from itertools import groupby
from types import MappingProxyType
from typing import Any

from llava_cli import __version__
from llava_cli.engine.memory import GIB, MemoryPlan
from llava_cli.engine.scores import rounded
from llava_cli.engine.types import Completion, ModelInfo, Timing
from llava_cli.errors import LlavaError
from llava_cli.media.clip import Clip, Media
from llava_cli.models.messages import Medium, media_path
from llava_cli.models.prompt import Prompt
from llava_cli.texts import all_printable, is_text, path_entry, printable
from llava_cli.words import counted, one_line

SCHEMA_VERSION = 1

_OF_SOME = ("device_map", "worker", "endpoint", "server", "sent")
"""What is said only of models that have it."""
_NO_MATTER = ("worker", "server")
"""What of a model makes no other work of it."""

Asked = Mapping[str, Any]
"""What `Request.asked` gives."""


def answer_record(
    asked: Asked,
    media: Sequence[Media],
    answer: Completion,
    model: ModelInfo,
    decode_s: float,
    warnings: Sequence[str] = (),
    own_id: str | int | None = None,
    prompt: Prompt | None = None,
    parsed: Mapping[str, Any] = MappingProxyType({}),
) -> dict[str, Any]:
    """The record of an answer.

    Args:
        media: in the order in which the user named them.
        warnings: what was changed of what was asked for.
        own_id: the job's, where it is one of a list.
        prompt: where the record is to hold it.
        parsed: what an answer says that has a schema, by its key.
    """
    tokens = {id(medium): count for medium, count in zip(answer.media, answer.visual_tokens, strict=True)}
    told = {**_model(asdict(model)), "template": answer.template}
    return _record(
        _id_of(asked, media, told) if own_id is None else own_id,
        "ok",
        asked,
        answer=answer.text,
        **parsed,
        finish_reason=answer.finish_reason,
        confidence=None if answer.confidence is None else rounded(answer.confidence),
        **_scores(answer),
        model=told,
        media=[_media(medium, tokens[id(medium)]) for medium in media],
        usage={
            "prompt_tokens": answer.prompt_tokens,
            "visual_tokens": sum(answer.visual_tokens),
            "completion_tokens": answer.completion_tokens,
        },
        timing=_rounded(answer.timing, decode_s),
        warnings=list(warnings),
        **({} if prompt is None else {**_prompt(prompt, ids=True), "answer_ids": list(answer.ids)}),
    )


def plan_record(
    asked: Asked,
    media: Sequence[Media],
    prompt: Prompt,
    model: ModelInfo,
    memory: MemoryPlan,
    warnings: Sequence[str],
    prompt_ids: bool = False,
) -> dict[str, Any]:
    """The record of a dry run: what would be shown and asked, and what it would take. See `answer_record`."""
    tokens = {id(medium): count for medium, count in zip(prompt.media, prompt.visual_tokens, strict=True)}
    told = {**_model(asdict(model)), "template": prompt.template}
    return _record(
        _id_of(asked, prompt.media, told),
        "planned",
        asked,
        model=told,
        media=[_media(medium, tokens[id(medium)]) for medium in media],
        usage={"prompt_tokens": len(prompt.ids), "visual_tokens": sum(prompt.visual_tokens)},
        memory=_memory(memory),
        warnings=list(warnings),
        **_prompt(prompt, prompt_ids),
    )


def plan_text(record: dict[str, Any]) -> str:
    """A dry run's record for people."""
    model, memory = record["model"], record["memory"]
    lines = [
        f"{model['checkpoint']}: {model['family']}, {model['quantization'] or model['dtype']} on {model['device']}"
    ]
    lines += [f"layers {layers}: {device}" for device, layers in model.get("device_map", {}).items()]
    for medium in record["media"]:
        size = medium.get("frame_size", {})
        frames = f"{counted(len(medium['frames']), 'frame')} of {size['width']}x{size['height']}, " if size else ""
        lines.append(f"{one_line(medium['path'])}: {frames}{counted(medium['visual_tokens'], 'visual token')}")
    asked = counted(record["usage"]["prompt_tokens"], "token")
    lines.append(f"prompt: {asked}, and up to {record['generation']['max_new_tokens']} new")
    devices = memory.get("devices", {})
    lines += [_memory_text(f"memory of {device}", sizes) for device, sizes in devices.items()]
    lines.append(_memory_text("memory in all" if devices else "memory", memory))
    if any(sizes["total"] > sizes["free"] for sizes in devices.values() or [memory]):
        lines.append("this does not fit")
    lines += ["it reads:", "", textwrap.indent(record["prompt_text"], "  ", lambda line: True)]
    return "\n".join(lines) + "\n"


def _memory_text(what: str, sizes: Mapping[str, Any]) -> str:
    gib = {key: sizes[key] / GIB for key in ("total", "free", "weights", "cache", "activations", "fixed")}
    return (
        f"{what}: {gib['total']:.2f} GiB of {gib['free']:.2f} GiB free (weights {gib['weights']:.2f}, "
        f"cache {gib['cache']:.2f}, activations {gib['activations']:.2f}, fixed {gib['fixed']:.2f})"
    )


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


def _model(known: Mapping[str, Any]) -> dict[str, Any]:
    """What answers, as far as it is known; what is only said of some is left out of others."""
    names = (one.name for one in fields(ModelInfo))
    return {name: known.get(name) for name in names if name not in _OF_SOME or known.get(name)}


def _memory(plan: MemoryPlan) -> dict[str, Any]:
    devices = {device: part.sizes for device, part in plan.devices.items()}
    return plan.sizes | ({"devices": devices} if devices else {})


def frames_record(medium: Media, visual_tokens: int | None) -> dict[str, Any]:
    """The record of what of a file would be shown, with no question about it."""
    return {"schema_version": SCHEMA_VERSION, **_media(medium, visual_tokens)}


def error_record(
    error: LlavaError,
    asked: Asked,
    paths: Sequence[Medium] = (),
    media: Sequence[Media] = (),
    model: Mapping[str, Any] | None = None,
    own_id: str | int | None = None,
) -> dict[str, Any]:
    """The record of a failure, with all that is known: what is not is null or empty, and so is its id then.

    Args:
        paths: the names of all media; `media` are what the first of them were found to show.
        model: what is known of it, by the keys of `ModelInfo`.
        own_id: the job's, where it is one of a list.
    """
    unseen = [_named(medium) for medium in paths[len(media) :]]
    if own_id is None and asked["question"] is not None:
        own_id = _id_of(asked, [*media, *unseen], model)
    return _record(
        own_id,
        "error",
        asked,
        error=error_entry(error),
        **({} if error.finish_reason is None else {"finish_reason": error.finish_reason}),
        model=model and _model(model),
        media=[*(_media(medium, None) for medium in media), *unseen],
    )


def error_entry(error: LlavaError) -> dict[str, str]:
    """What a record says of a failure."""
    return {"code": error.code, "message": printable(str(error))}


def to_json(record: dict[str, Any]) -> str:
    """One line of ASCII, so that no name and no answer can break a pipeline's encoding or its lines.

    What is no text, wherever it comes from, is written as escapes: a reader of JSON may refuse halves of characters.
    """
    line = json.dumps(record, ensure_ascii=True, allow_nan=False)
    if r"\ud" in line and not is_text(record):
        return json.dumps(all_printable(record), ensure_ascii=True, allow_nan=False)
    return line


def _record(id: str | int | None, status: str, asked: Asked, **known: Any) -> dict[str, Any]:
    return {"schema_version": SCHEMA_VERSION, "id": id, "status": status, **asked, **known, "versions": _versions()}


def _id_of(asked: Asked, media: Sequence[Media | Mapping[str, Any]], model: Mapping[str, Any] | None) -> str:
    """The same for the same work: all that was asked, what was shown for it to the pixel, and who answers."""
    shown = [one if isinstance(one, Mapping) else [one.info.path, *_seen(one)] for one in media]
    same = model and {key: value for key, value in model.items() if key not in _NO_MATTER}
    known = json.dumps([asked, shown, same], sort_keys=True)
    return hashlib.sha256(known.encode()).hexdigest()[:16]


def _seen(medium: Media) -> tuple[str, Sequence[float]]:
    """A digest of a medium's pixels, and the times of its frames."""
    pixels, times = (medium.frames, medium.times) if isinstance(medium, Clip) else (medium.pixels, ())
    data = pixels.data if pixels.flags.c_contiguous else pixels.tobytes()
    return hashlib.sha256(data).hexdigest(), times


def _scores(answer: Completion) -> dict[str, Any]:
    """How likely the choices were, or the tokens, where that was asked for."""
    choices, tokens = ([one.entry() for one in scored] for scored in (answer.choices, answer.tokens))
    return ({"choices": choices} if choices else {}) | ({"answer_tokens": tokens} if tokens else {})


def _prompt(prompt: Prompt, ids: bool) -> dict[str, Any]:
    """What the model reads; equal ids that follow each other are told once, with their number."""
    runs = [[token, len(list(same))] for token, same in groupby(prompt.ids)] if ids else []
    return {"prompt_text": prompt.text, **({"prompt_ids": runs} if ids else {})}


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
        receipt["pixels"] = medium.pixels
        height, width = medium.frames.shape[1:3]
        receipt["frame_size"] = {"width": width, "height": height}
        receipt["frames"] = [
            {"index": index, "time": round(time, 6)} for index, time in zip(medium.indices, medium.times, strict=True)
        ]
    return {**receipt, "visual_tokens": visual_tokens, "warnings": list(info.warnings)}


def _named(medium: Medium) -> dict[str, Any]:
    """A medium of which nothing is known but what was asked."""
    named = media_path(medium)
    return {**path_entry(named.path), **named.excerpt.said}


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
