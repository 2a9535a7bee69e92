# SPDX-License-Identifier: Apache-2.0
"""The road from named files to an engine, for every command that asks a model."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from llava_cli.cli.options import FrameOptions, ModelOptions
from llava_cli.engine.types import LoadOptions
from llava_cli.media.clip import View
from llava_cli.models.published import PUBLISHED
from llava_cli.output import Output

if TYPE_CHECKING:
    from llava_cli.engine.loader import Loader
    from llava_cli.engine.local import LocalEngine
    from llava_cli.media.clip import Media
    from llava_cli.media.worker.parent import Worker
    from llava_cli.models.family import Family
    from llava_cli.models.messages import Conversation
    from llava_cli.models.prompt import Prompt


def open_family(choice: ModelOptions, out: Output) -> Family:
    """The family of a checkpoint, read from its small files."""
    from llava_cli.models.checkpoint import dummy_checkpoint, open_checkpoint, with_linear_rope
    from llava_cli.models.registry import family_of

    quiet_libraries(out)
    checkpoint = dummy_checkpoint(choice.model) if choice.dummy else open_checkpoint(choice.model, choice.revision)
    if choice.rope_factor is not None:
        checkpoint = with_linear_rope(checkpoint, choice.rope_factor)
    return family_of(checkpoint)


def shape_of(choice: ModelOptions) -> ModelOptions:
    """A checkpoint without its weights: of a released one its published shape, for which nothing is downloaded."""
    return replace(choice, dummy=choice.model in PUBLISHED and choice.revision is None)


def load_all(paths: Sequence[str], view: View, out: Output, worker: Worker | None = None) -> list[Media]:
    """Decode every file, and say what was odd about each. Without a worker in this process: only what we made."""
    from llava_cli.media import load_media

    load = load_media if worker is None else worker.load
    media: list[Media] = []
    for path in paths:
        with out.working(f"reading {path}"):
            media.append(load(path, view))
        info = media[-1].info
        out.detail(f"llava: {path}: {info.width}x{info.height} {info.codec}, decoded by {info.decoder}")
        for warning in info.warnings:
            out.say(f"llava: {path}: {warning}")
    return media


def save_sheet(media: Sequence[Media], path: Path, out: Output) -> None:
    """Save what is shown as a contact sheet."""
    from llava_cli.media import contact_sheet

    contact_sheet(media, path)
    out.say(f"llava: {path}: what the model is shown")


def open_loader(family: Family, options: LoadOptions, out: Output) -> Loader:
    """Everything about the model but its weights."""
    with out.working("starting"):
        from llava_cli.engine.loader import Loader

        loader = Loader(family, options)
    info = loader.info
    out.detail(
        f"llava: {info.checkpoint}: {info.family}, {info.quantization or info.dtype} on {info.device}, {info.attention}"
    )
    if options.device == "auto" and loader.device == "cpu" and family.checkpoint.name != "demo":
        out.say("llava: no GPU was found: running on the CPU")
    return loader


def fitted(
    loader: Loader,
    asked: Conversation,
    showing: FrameOptions,
    build: Callable[[View], Conversation],
    new_tokens: int,
    out: Output,
) -> tuple[Conversation, Prompt, list[str]]:
    """The conversation with so many frames that it fits the checkpoint's context, and what was changed for that.

    `build` makes the conversation anew in another view.

    Raises:
        TooLong: it does not fit, and `showing.fit` does not allow to show fewer frames.
    """
    from llava_cli.engine.context import TooLong, fewer_frames, fitting_prompt

    warnings: list[str] = []
    while True:
        try:
            return asked, fitting_prompt(loader.family, loader.tokenizer, asked, new_tokens), warnings
        except TooLong as error:
            if not (showing.fit and error.frames):
                raise
            warnings = [fewer_frames(error.frames)]
            out.say(f"llava: {warnings[0]}")
            asked = build(replace(showing, frames=error.frames).of(loader.family.view))


def load_engine(loader: Loader, out: Output) -> LocalEngine:
    """The engine, with a sign of life while it loads."""
    checkpoint = loader.family.checkpoint
    checkpoint.fetch()
    if checkpoint.dummy:
        out.say("llava: the weights are random: the answer means nothing")
    with out.working(f"loading {checkpoint.name}"):
        return loader.load()


def quiet_libraries(out: Output) -> None:
    """Keep the libraries' own chatter off the terminal; progress bars stay, where there is a terminal."""
    import logging
    import os
    import sys

    level = "warning" if out.verbose else "error"
    logging.getLogger("bitsandbytes").setLevel(level.upper())
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", level)
    os.environ.setdefault("HF_HUB_VERBOSITY", level)
    if out.quiet or not sys.stderr.isatty():
        os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
