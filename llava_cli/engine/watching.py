# SPDX-License-Identifier: Apache-2.0
"""How far a model is in its long stages, by the layers that were passed: nothing of what it computes is touched.

On a GPU the layers are passed ahead of the arithmetic; what is told then is where the program is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from torch import nn

from llava_cli.media.clip import Clip, Media
from llava_cli.progress import Progress, stage
from llava_cli.words import counted

if TYPE_CHECKING:
    from transformers import PreTrainedModel

    from llava_cli.models.family import Family


@contextmanager
def encoding(model: PreTrainedModel, family: Family, media: Sequence[Media], progress: Progress) -> Iterator[None]:
    """Tell how far the vision tower is with these."""
    if not media:
        yield
        return
    language = model.get_decoder().layers
    towers = [part for part in model.modules() if isinstance(part, nn.ModuleList) and part is not language]
    depth = max(map(len, towers), default=0)
    layers = [layer for tower in towers for layer in tower]
    total = sum(map(family.pictures, media)) * depth
    with (
        _stage(progress, f"encoding {_named(media)}", total) as passed,
        _hooked(layers, lambda pictures: passed(len(pictures))),
    ):
        yield


@contextmanager
def prefill(model: PreTrainedModel, tokens: int, progress: Progress) -> Iterator[None]:
    """Tell how far the language model is with a prompt of so many tokens."""
    layers = model.get_decoder().layers
    with (
        _stage(progress, f"prefill of {counted(tokens, 'token')}", len(layers)) as passed,
        _hooked(layers, lambda _: passed(1)),
    ):
        yield


def _named(media: Sequence[Media]) -> str:
    frames = sum(len(medium.frames) for medium in media if isinstance(medium, Clip))
    stills = sum(not isinstance(medium, Clip) for medium in media)
    parts = [counted(number, noun) for number, noun in ((frames, "frame"), (stills, "image")) if number]
    return " and ".join(parts)


@contextmanager
def _stage(progress: Progress, name: str, total: int) -> Iterator[Callable[[int], None]]:
    """A stage that is told how much more is done."""
    done = 0
    with stage(progress, name, max(1, total)) as tell:

        def more(count: int) -> None:
            nonlocal done
            done += count
            tell(done)

        yield more


@contextmanager
def _hooked(layers: Sequence[nn.Module], passed: Callable[[Any], None]) -> Iterator[None]:
    """Have each layer call with its hidden states [batch, …] once they are there."""

    def hook(layer: nn.Module, inputs: Any, output: Any) -> None:
        passed(output[0] if isinstance(output, tuple) else output)

    hooks = [layer.register_forward_hook(hook) for layer in layers]
    try:
        yield
    finally:
        for one in hooks:
            one.remove()
