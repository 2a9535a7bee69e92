# SPDX-License-Identifier: Apache-2.0
"""The road from named files to an engine, for every command that asks a model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from llava_cli.engine.options import LoadOptions
from llava_cli.media.clip import Policy, Sampling, View
from llava_cli.output import Output

if TYPE_CHECKING:
    from llava_cli.engine.local import LocalEngine
    from llava_cli.media.clip import Media
    from llava_cli.models.family import Family


def open_family(model: str, revision: str | None, out: Output) -> Family:
    """The family of a checkpoint, read from its small files."""
    from llava_cli.models.checkpoint import open_checkpoint
    from llava_cli.models.registry import family_of

    _quiet_libraries(out)
    return family_of(open_checkpoint(model, revision))


def chosen_view(
    view: View,
    policy: Policy | None,
    frames: int | None,
    fps: float | None,
    start: float | None,
    end: float | None,
    exact_pixels: bool,
) -> View:
    """A family's view with what the user chose instead."""
    default = view.sampling
    sampling = Sampling(
        policy="fps" if fps is not None else policy or default.policy,
        frames=frames or default.frames,
        fps=fps,
        start=start,
        end=end,
    )
    return replace(view, sampling=sampling, fit="full" if exact_pixels else view.fit)


def load_all(paths: Sequence[str], view: View, out: Output) -> list[Media]:
    """Decode every file, and say what was odd about each."""
    from llava_cli.media import load_media

    media = []
    for path in paths:
        with out.working(f"reading {path}"):
            media.append(load_media(path, view))
        for warning in media[-1].info.warnings:
            out.say(f"llava: {path}: {warning}")
    return media


def load_engine(family: Family, options: LoadOptions, out: Output) -> LocalEngine:
    """The engine, with a sign of life while it loads."""
    family.checkpoint.fetch()
    with out.working(f"loading {family.checkpoint.name}"):
        from llava_cli.engine.load import load

        engine = load(family, options)
    if options.device == "auto" and engine.info.device == "cpu" and family.checkpoint.name != "demo":
        out.say("llava: no GPU was found: running on the CPU")
    return engine


def _quiet_libraries(out: Output) -> None:
    """Keep the libraries' own chatter off the terminal; progress bars stay, where there is a terminal."""
    import os
    import sys

    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    os.environ.setdefault("HF_HUB_VERBOSITY", "error")
    if out.quiet or not sys.stderr.isatty():
        os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
