# SPDX-License-Identifier: Apache-2.0
"""Where a checkpoint runs and in which numbers: the same today and tomorrow."""

from __future__ import annotations

import pytest
import torch

from llava_cli.engine import device
from llava_cli.engine.device import choose_device, choose_dtype, chosen_devices
from llava_cli.engine.device_map import parse_device_map
from llava_cli.engine.memory import GIB
from llava_cli.engine.types import LoadOptions
from llava_cli.errors import UsageError
from llava_cli.models.checkpoint import open_checkpoint
from llava_cli.models.registry import family_of


def test_the_number_format_follows_from_the_machine_s_memory_not_from_what_is_free(folder, monkeypatch):
    family = family_of(open_checkpoint(str(folder)))
    monkeypatch.setattr("llava_cli.engine.device.memory_limit", lambda: 24 * GIB)
    monkeypatch.setattr("llava_cli.engine.device.bfloat16_gain", lambda: 0.5)
    assert choose_dtype("auto", "cpu", family, 500_000_000) == torch.float32
    assert choose_dtype("auto", "cpu", family, 7_000_000_000) == torch.bfloat16
    assert choose_dtype("float16", "cpu", family, 7_000_000_000) == torch.float16


@pytest.mark.parametrize(
    ("gain", "parameters", "dtype"),
    [(2.1, 500_000_000, torch.bfloat16), (1.1, 500_000_000, torch.float32), (2.1, 10_000_000, torch.float32)],
)
def test_processors_that_are_much_faster_in_bfloat16_answer_in_it_unless_it_is_nothing(
    folder, monkeypatch, gain, parameters, dtype
):
    monkeypatch.setattr("llava_cli.engine.device.memory_limit", lambda: 24 * GIB)
    monkeypatch.setattr("llava_cli.engine.device.bfloat16_gain", lambda: gain)
    assert choose_dtype("auto", "cpu", family_of(open_checkpoint(str(folder))), parameters) == dtype


def test_how_fast_a_processor_is_stays_as_it_was_measured(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    first = device.bfloat16_gain()
    assert first > 0
    monkeypatch.setattr(device, "_measured_gain", lambda: first + 1)
    assert device.bfloat16_gain() == first
    monkeypatch.setattr(device, "cores", lambda: 3000)
    assert device.bfloat16_gain() == first + 1


def chosen(text: str) -> dict[str, int | None]:
    return chosen_devices(LoadOptions(device_map=parse_device_map(text)))


def test_auto_is_all_gpus_or_what_there_is_instead(monkeypatch):
    monkeypatch.setattr("torch.cuda.device_count", lambda: 0)
    assert chosen("auto,cpu=5") == {"cpu": 5}
    assert chosen("auto,disk") == {"cpu": None, "disk": None}
    monkeypatch.setattr("torch.cuda.device_count", lambda: 2)
    assert chosen("auto,disk,cpu") == {"cuda:0": None, "cuda:1": None, "cpu": None, "disk": None}
    monkeypatch.setattr("llava_cli.engine.device.choose_device", lambda name, option: name)
    assert list(chosen("1=7,auto=9").items()) == [("cuda:0", 9), ("cuda:1", 7)]


def test_a_gpu_of_a_map_that_is_not_there_says_what_to_do():
    with pytest.raises(
        UsageError, match=r"--device-map cuda:99: not available on this machine, .*; try --device-map c"
    ):
        chosen("99,cpu")


def test_a_gpu_with_the_memory_of_the_cpu_is_enough(monkeypatch):
    monkeypatch.setattr("torch.backends.mps.is_available", lambda: True)
    assert chosen("auto") == {"mps": None}
    with pytest.raises(UsageError, match="this machine's GPU uses the memory of the CPU; leave the other devices out"):
        chosen("auto,cpu")


def test_a_device_and_a_map_are_one_too_many():
    with pytest.raises(UsageError, match="--device and --device-map cannot be used together"):
        LoadOptions("cpu", device_map=parse_device_map("auto"))


def test_a_device_that_is_not_there_says_what_to_do():
    with pytest.raises(
        UsageError, match=r"--device cuda:99: not available on this machine, which has cpu.*; try --device cpu"
    ):
        choose_device("cuda:99")


@pytest.mark.parametrize("name", ["gpu", "cuda:x", "privateuseone", "meta:3:4"])
def test_the_library_s_own_list_of_devices_is_not_shown(name):
    with pytest.raises(UsageError) as raised:
        choose_device(name)
    assert "opengl" not in str(raised.value)
