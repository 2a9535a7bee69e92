# SPDX-License-Identifier: Apache-2.0
"""The peak begins anew, and grows with what is held."""

from __future__ import annotations

import os
import sys

import pytest

from llava_cli.bench.memory import begin_peak, memory_of

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the system does not tell")
MUCH = 100 << 20


def test_the_peak_is_of_what_was_held_meanwhile():
    held = bytes(b"x" * MUCH)
    del held
    begin_peak()
    before = memory_of("self", "VmHWM")
    held = bytes(b"x" * MUCH)
    del held
    assert before is not None
    assert MUCH * 0.9 < memory_of(os.getpid(), "VmHWM") - before < MUCH * 2.5
    assert memory_of("self", "VmRSS") < memory_of("self", "VmHWM")


def test_of_a_process_that_is_not_there_nothing_is_known():
    assert memory_of(2**30, "VmRSS") is None
