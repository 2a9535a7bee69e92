# SPDX-License-Identifier: Apache-2.0
"""Engines on tiny checkpoints, what they answer, and what several families' tests look at in them."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

from pictures import clip, still

from llava_cli.engine.device_map import parse_device_map
from llava_cli.engine.loader import Loader, load
from llava_cli.engine.local import LocalEngine
from llava_cli.engine.memory import FIXED
from llava_cli.engine.types import Completion, Generation, LoadOptions, Query
from llava_cli.media.clip import Media
from llava_cli.models.checkpoint import dummy_checkpoint, open_checkpoint
from llava_cli.models.messages import Conversation, ask
from llava_cli.models.registry import family_of

GREEDY = Generation(max_new_tokens=16)

PROMPT = (1000, 16)
"""No shorter than any of the tests'."""


def engine_of(folder: Path, **options: object) -> LocalEngine:
    """The checkpoint in `folder`, opened and loaded as the commands do it, on the CPU."""
    return load(family_of(open_checkpoint(str(folder))), LoadOptions(**{"device": "cpu"} | options))


def spread_loader(folder: Path, layers_in_memory: int) -> Loader:
    """What would load the checkpoint in `folder` in float32, with so many layers in memory and the others on disk."""
    family = family_of(open_checkpoint(str(folder)))
    needs = Loader(family, LoadOptions("cpu", "float32"))._planner._needs([PROMPT], None)
    least = FIXED + needs.rest + len(needs.layers) * needs.cache + max(needs.prefill, needs.vision) + max(needs.layers)
    loader = Loader(family, LoadOptions(dtype="float32", device_map=parse_device_map(f"cpu={int(least) + 1},disk")))
    assert loader.plan([PROMPT]).fits()
    assert loader.info.device_map == {"disk": f"0-{len(needs.layers) - 1}"}
    if layers_in_memory:
        loader._planner._layout._decided = tuple(int(n >= layers_in_memory) for n in range(len(needs.layers)))
    return loader


def dummy_loader(name: str, **options: object) -> Loader:
    """What would load random weights of a released checkpoint's geometry, in bfloat16 on the CPU."""
    return Loader(family_of(dummy_checkpoint(name)), LoadOptions(device="cpu", dtype="bfloat16", **options))


def answers_of(
    engine: LocalEngine, conversations: Sequence[Conversation], generation: Generation = GREEDY
) -> list[Completion]:
    """The answers to conversations that are put to the engine together."""
    return engine.answer([Query(conversation, generation) for conversation in conversations])


def streamed(
    engine: LocalEngine, conversation: Conversation, generation: Generation = GREEDY, **options: object
) -> tuple[list[str], Completion]:
    """The pieces of an answer as they came, and all that is known of it."""
    stream, pieces = engine.stream(Query(conversation, generation), **options), []
    while True:
        try:
            pieces.append(next(stream))
        except StopIteration as end:
            return [piece for piece in pieces if piece], end.value


def text_of(engine: LocalEngine, media: list[Media], question: str = "Why?", generation: Generation = GREEDY) -> str:
    """The answer to one question."""
    return answers_of(engine, [ask(question, media)], generation)[0].text


def mixed_asks(size: int) -> list[Conversation]:
    """Prompts of unequal lengths, two under a system prompt; clips are `size` square."""
    return [
        ask("Why is this video funny?", [clip(8, size, size)]),
        ask("Why?", [clip(3, size, size, seed=1), still(61, 97)]),
        ask("How many shapes are there?", [still(30, 90, seed=2)]),
        ask("What?", [], system="Answer in one word."),
        ask("What?", [clip(1, size, size, seed=3)], system="Answer in one word."),
    ]


def layers_in_4_bit(engine: LocalEngine) -> list[str]:
    """The names of the layers whose weights are quantized to 4 bit."""
    from bitsandbytes.nn import Linear4bit

    return [name for name, module in engine._model.named_modules() if isinstance(module, Linear4bit)]


def saved_with_its_files(engine: LocalEngine, folder: Path) -> Path:
    """Write the engine's model into `folder`, beside copies of its checkpoint's other files."""
    weights = shutil.ignore_patterns("*.safetensors")
    shutil.copytree(engine.family.checkpoint.folder, folder, dirs_exist_ok=True, ignore=weights)
    engine._model.save_pretrained(folder)
    return folder
