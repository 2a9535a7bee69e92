# SPDX-License-Identifier: Apache-2.0
"""Real checkpoints' shapes on machines that are not there: a table of devices and what they have free."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from llava_cli.engine.device_map import parse_device_map
from llava_cli.engine.loader import Loader
from llava_cli.engine.memory import GIB
from llava_cli.engine.types import LoadOptions
from llava_cli.errors import OutOfMemory, UsageError
from llava_cli.models.checkpoint import dummy_checkpoint
from llava_cli.models.registry import family_of

Machine = Callable[..., None]
VIDEO = [(13760, 256)]
"""One of 64 frames for LLaVA-Video."""


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Machine:
    """Have the machine some GPUs, and so much free (in GiB) on each device."""

    def has(*gpus: int, cpu: int = 64) -> None:
        free = {f"cuda:{number}": size for number, size in enumerate(gpus)} | {"cpu": cpu}
        monkeypatch.setattr("torch.cuda.device_count", lambda: len(gpus))
        monkeypatch.setattr("llava_cli.engine.planning.free_memory", lambda device: free[device] * GIB)
        chosen = "cuda:0" if gpus else "cpu"
        monkeypatch.setattr(
            "llava_cli.engine.device.choose_device", lambda name, option="": chosen if name == "auto" else name
        )

    return has


def loader(name: str, device_map: str | None = None, **options: object) -> Loader:
    layers = None if device_map is None else parse_device_map(device_map)
    options = {"dtype": "bfloat16", "device_map": layers} | options
    return Loader(family_of(dummy_checkpoint(name)), LoadOptions(**options))


def test_the_72b_lies_on_two_gpus(machine):
    machine(94, 94)
    big = loader("llava-video-72b", "auto")
    plan = big.plan(VIDEO)
    assert plan.fits()
    assert plan.weights == pytest.approx(loader("llava-video-72b").plan(VIDEO).weights)
    assert list(plan.devices) == ["cuda:0", "cuda:1"]
    one, other = (part.free - part.total for part in plan.devices.values())
    assert abs(one - other) < 2 * GIB  # less than a layer's
    layers = big.info.device_map
    assert list(layers) == ["cuda:0", "cuda:1"]
    assert (layers["cuda:0"][:2], layers["cuda:1"][-3:]) == ("0-", "-79")
    assert big.info.device == "cuda:0"


def test_each_part_of_the_model_has_its_device_and_the_library_s_name_for_it(machine):
    machine(94, 94)
    big = loader("llava-video-72b", "0,1,cpu")
    parts = big._planner.device_map
    names = [name for name, _ in (*big.skeleton.named_parameters(), *big.skeleton.named_buffers())]
    assert all(sum(f"{name}.".startswith(f"{part}.") for part in parts) == 1 for name in names)
    edges = {"model.vision_tower", "model.multi_modal_projector", "model.image_newline", "lm_head",
             "model.language_model.embed_tokens", "model.language_model.norm"}  # fmt: skip
    assert {parts[part] for part in edges} == {0}
    assert parts["model.language_model.layers.79"] == 1
    assert set(parts.values()) == {0, 1}
    assert loader("llava-video-72b")._planner.device_map == {"": "cuda:0"}


def test_limits_bound_what_is_used(machine):
    machine(80, 80)
    plan = loader("next-video-34b", "auto=60G,1=30G").plan([(3456, 256)])
    assert [part.free for part in plan.devices.values()] == [60 * GIB, 30 * GIB]
    assert plan.fits()
    assert not loader("next-video-34b", "auto=30G").plan([(3456, 256)]).fits()


@pytest.mark.parametrize(
    ("gpus", "cpu", "name", "device_map", "quantization", "remedy"),
    [
        ((80,), 64, "llava-video-72b", None, None, "--4bit or --device-map 0,cpu,disk"),
        ((80, 80), 64, "llava-video-72b", None, None, "--4bit or --device-map auto"),
        ((40, 40), 64, "llava-video-72b", None, "4bit", "--device-map auto"),
        ((12, 12, 12), 64, "next-video-34b", "0,1", "8bit", "--4bit"),
        ((16,), 64, "next-video-34b", None, None, "--device-map 0,cpu"),
        ((16,), 64, "next-video-34b", None, "4bit", None),
        ((9, 9), 64, "next-video-34b", "auto", None, "--device-map auto,cpu"),
        ((12, 12), 16, "next-video-34b", "auto,cpu=16G", None, "--device-map auto,cpu=16G,disk"),
        ((12,), 16, "next-video-34b", "0", None, "--device-map 0,cpu,disk"),
        ((), 16, "next-video-34b", None, None, None),
        ((4,), 16, "next-video-34b", "0,cpu,disk", None, None),
    ],
)
def test_what_does_not_fit_is_refused_with_what_would(machine, gpus, cpu, name, device_map, quantization, remedy):
    machine(*gpus, cpu=cpu)
    prompt = VIDEO if name == "llava-video-72b" else [(3456, 256)]
    with pytest.raises(OutOfMemory) as raised:
        loader(name, device_map, quantization=quantization).check_memory(prompt)
    told = str(raised.value).rpartition("; ")[2]
    assert told == (f"{remedy} would fit" if remedy else "choose a smaller checkpoint or fewer --frames")
    if remedy and "--4bit" in remedy:
        loader(name, device_map, quantization="4bit").check_memory(prompt)
    if remedy and "--device-map" in remedy:
        loader(name, remedy.split()[-1], quantization=quantization).check_memory(prompt)


def test_each_device_is_named_in_the_refusal(machine):
    machine(12, 12)
    with pytest.raises(OutOfMemory, match=r"GiB \(.*\) of 12.0 GiB free on cuda:0, and .* GiB free on cuda:1; "):
        loader("next-video-34b", "0,1").check_memory([(3456, 256)])


def test_quantized_layers_are_on_gpus_or_all_on_the_cpu(machine):
    machine(24, 24)
    for devices in ("auto,cpu", "0,disk"):
        with pytest.raises(UsageError, match=r"quantized layers cannot lie on the CPU beside a GPU, nor on disk"):
            loader("next-video-34b", devices, quantization="4bit")
    assert loader("next-video-34b", "auto", quantization="4bit").plan([(3456, 256)]).fits()
    machine()
    assert loader("next-video-7b", "auto,cpu", quantization="4bit").info.device == "cpu"
