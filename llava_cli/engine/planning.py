# SPDX-License-Identifier: Apache-2.0
"""Where a checkpoint's parts go and what they take there, counted on its skeleton before anything is read."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import cached_property
from itertools import takewhile
from typing import TYPE_CHECKING

from llava_cli.engine.device import wider_maps
from llava_cli.engine.device_map import CPU, DISK
from llava_cli.engine.memory import FIXED, MemoryPlan, Needs, free_memory, layer_names, needs, vision_peak
from llava_cli.engine.placement import Layout, Room, layers_shown
from llava_cli.engine.types import LoadOptions, Quantization
from llava_cli.media.clip import Clip, blank_clip
from llava_cli.models.family import TEXT_TOKENS, Family

if TYPE_CHECKING:
    from transformers import PreTrainedModel

Prompts = Sequence[tuple[int, int]]
"""A batch of prompts, each as (tokens, new tokens)."""


class Planner:
    """A checkpoint's parts on some devices, as much free as they have now."""

    def __init__(
        self,
        family: Family,
        options: LoadOptions,
        skeleton: PreTrainedModel,
        limits: Mapping[str, int | None],
        quantization: Quantization | None,
        modules_to_not_convert: Sequence[str],
        rooms: Sequence[Room] = (),
    ) -> None:
        """`limits` are the devices, the first of which computes, with the bytes of each that may be used.

        `rooms` is what there is of them, where they are those of another process.
        """
        self._family = family
        self._options = options
        self._skeleton = skeleton
        self._quantization = quantization
        self._modules_to_not_convert = modules_to_not_convert
        self._first = next(iter(limits))
        self.rooms = tuple(rooms) or tuple(self._room(device, limit) for device, limit in limits.items())

    def plan(self, prompts: Prompts, patches: int | None = None) -> MemoryPlan:
        """What it takes to answer prompts together. The first that fit decide where the layers lie.

        Args:
            patches: so many go through the vision tower together; by default those of the usual video.
        """
        return self._layout.plan(self._needs(prompts, self._quantization, patches))

    def plan_quantized(
        self, prompts: Prompts, quantization: Quantization | None, patches: int | None = None
    ) -> MemoryPlan:
        """What it would take if the weights were quantized so."""
        return self._laid_out(self.rooms, quantization).plan(self._needs(prompts, quantization, patches))

    def remedy(self, prompts: Prompts, patches: int | None = None) -> str:
        """What would fit, as far as that is known, where these do not."""
        found = []
        if all(room.computes for room in self.rooms) and self.plan_quantized(prompts, "4bit", patches).fits():
            found.append("--4bit")
        known = {room.device: room for room in self.rooms}
        for text, devices in wider_maps(self._options, list(known), self._quantization is not None):
            rooms = [known.get(device) or self._room(device) for device in devices]
            wanted = self._needs(prompts, self._quantization, patches)
            if self._laid_out(rooms, self._quantization).plan(wanted).fits():
                found.append(f"--device-map {text}")
                break
        return f"{' or '.join(found)} would fit" if found else "choose a smaller checkpoint or fewer --frames"

    def decide(self) -> None:
        """Have the layers lie where they are best for the usual prompt, if no prompt has decided it."""
        self._layout.decide()

    @property
    def layers(self) -> dict[str, str]:
        """The layers on each device, as "0-29"."""
        return layers_shown(self.rooms, self._layout.places)

    @property
    def device_map(self) -> dict[str, str | int]:
        """The device of each part of the model, whole layers among them; the library knows GPUs by number."""
        if len(self.rooms) == 1:
            return {"": self._first}
        names = layer_names(self._skeleton)
        devices = {name: self.rooms[at].device for name, at in zip(names, self._layout.places, strict=True)}
        above = names[0].split(".")[:-1]
        found: dict[str, str | int] = {}
        for name, _ in (*self._skeleton.named_parameters(), *self._skeleton.named_buffers()):
            path = name.split(".")
            shared = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(path, above, strict=False)))
            part = ".".join(path[: shared + 1])
            device = devices.get(part, self._first)
            found[part] = int(device.removeprefix("cuda:")) if device.startswith("cuda:") else device
        return found

    @cached_property
    def _layout(self) -> Layout:
        return self._laid_out(self.rooms, self._quantization)

    def _laid_out(self, rooms: Sequence[Room], quantization: Quantization | None) -> Layout:
        usual = self._family.prompt_tokens(self._usual_clip), TEXT_TOKENS
        return Layout(rooms, self._needs([usual], quantization))

    @cached_property
    def _usual_clip(self) -> Clip:
        view = self._family.view
        return blank_clip(view, view.sampling.frames)

    def _needs(self, prompts: Prompts, quantization: Quantization | None, patches: int | None = None) -> Needs:
        if patches is None:
            patches = self._family.vision_patches([self._usual_clip])
        vision = vision_peak(self._skeleton, patches, self._family.keeps_hidden_states)
        return needs(self._skeleton, prompts, vision, quantization, self._modules_to_not_convert)

    def _room(self, device: str, limit: int | None = None) -> Room:
        """What there is of a device. Beside a GPU, the CPU keeps layers for it."""
        if device == DISK:
            return Room(device, math.inf, computes=False)
        free = free_memory(device)
        computes = device != CPU or self._first == CPU
        return Room(device, free if limit is None else min(free, limit), FIXED, computes)
