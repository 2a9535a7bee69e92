# SPDX-License-Identifier: Apache-2.0
"""Where a checkpoint runs and in which numbers: the same today and tomorrow."""

from __future__ import annotations

import pytest
import torch

from llava_cli.engine.device import choose_device, choose_dtype
from llava_cli.engine.memory import GIB
from llava_cli.errors import UsageError
from llava_cli.models.checkpoint import open_checkpoint
from llava_cli.models.registry import family_of


def test_the_number_format_follows_from_the_machine_s_memory_not_from_what_is_free(folder, monkeypatch):
    family = family_of(open_checkpoint(str(folder)))
    monkeypatch.setattr("llava_cli.engine.device.memory_limit", lambda: 24 * GIB)
    assert choose_dtype("auto", "cpu", family, 500_000_000) == torch.float32
    assert choose_dtype("auto", "cpu", family, 7_000_000_000) == torch.bfloat16
    assert choose_dtype("float16", "cpu", family, 7_000_000_000) == torch.float16


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
