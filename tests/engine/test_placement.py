# SPDX-License-Identifier: Apache-2.0
"""Where layers go, on devices that are only numbers."""

from __future__ import annotations

import math
from collections import Counter

import pytest

from llava_cli.engine.memory import Needs
from llava_cli.engine.placement import Layout, Room, layers_shown, place, usage

NEEDS = Needs(rest=10, layers=(4,) * 20, cache=1, prefill=3, vision=5)
"""All in all 80 for layers, 20 for their keys and values, and 10 + 5 on the first device."""
DISK = Room("disk", math.inf, computes=False)


def gpu(number: int, free: float) -> Room:
    return Room(f"cuda:{number}", free, fixed=1)


def counted(rooms: list[Room], needs: Needs = NEEDS) -> list[int]:
    """How many layers each room gets, which must follow each other in the order of the rooms."""
    places = place(needs, rooms)
    assert list(places) == sorted(places)
    assert len(places) == len(needs.layers)
    found = Counter(places)
    return [found[at] for at in range(len(rooms))]


def test_one_device_holds_all():
    plan = usage(NEEDS, [gpu(0, 116)], place(NEEDS, [gpu(0, 116)]))
    assert (plan.weights, plan.cache, plan.activations, plan.fixed, plan.total) == (90, 20, 5, 1, 116)
    assert plan.fits()
    assert not plan.devices
    assert not usage(NEEDS, [gpu(0, 115)], place(NEEDS, [gpu(0, 115)])).fits()


def test_equal_gpus_are_left_equally_free_and_the_first_holds_the_rest_too():
    rooms = [gpu(0, 100), gpu(1, 100), gpu(2, 100)]
    assert counted(rooms) == [5, 8, 7]
    plan = usage(NEEDS, rooms, place(NEEDS, rooms))
    assert {device: part.total for device, part in plan.devices.items()} == {
        "cuda:0": 1 + 10 + 5 * 5 + 5, "cuda:1": 1 + 8 * 5 + 3, "cuda:2": 1 + 7 * 5 + 3,
    }  # fmt: skip
    assert (plan.weights, plan.cache, plan.free) == (90, 20, 300)


def test_a_larger_gpu_gets_more():
    assert counted([gpu(0, 40), gpu(1, 120)]) == [1, 19]
    assert counted([gpu(0, 120), gpu(1, 40)]) == [17, 3]


def test_what_fits_exactly_fits_and_one_byte_less_does_not():
    rooms = [gpu(0, 1 + 10 + 5 + 10 * 5), gpu(1, 1 + 3 + 10 * 5)]
    assert counted(rooms) == [10, 10]
    assert usage(NEEDS, rooms, place(NEEDS, rooms)).fits()
    less = [rooms[0], gpu(1, 1 + 3 + 10 * 5 - 1)]
    assert not usage(NEEDS, less, place(NEEDS, less)).fits()


def test_a_shortage_is_spread_as_evenly():
    rooms = [gpu(0, 40), gpu(1, 40)]
    plan = usage(NEEDS, rooms, place(NEEDS, rooms))
    short = [part.total - part.free for part in plan.devices.values()]
    assert min(short) > 0
    assert max(short) - min(short) < 5


def test_the_cpu_beside_gpus_holds_only_what_they_cannot():
    cpu = Room("cpu", 100, fixed=1, computes=False)
    assert counted([gpu(0, 116), cpu]) == [20, 0]
    rooms = [gpu(0, 75), cpu]
    # The GPU has the keys and values of all 20 layers, and room for a layer that is brought.
    assert counted(rooms) == [(75 - 1 - 10 - 5 - 4 - 20) // 4, 12]
    plan = usage(NEEDS, rooms, place(NEEDS, rooms))
    assert plan.fits()
    assert plan.devices["cuda:0"].cache == 20
    assert plan.devices["cuda:0"].activations == 5 + 4
    assert (plan.devices["cpu"].weights, plan.devices["cpu"].cache, plan.devices["cpu"].activations) == (48, 0, 0)


def test_the_disk_holds_what_is_left_and_is_no_memory():
    rooms = [gpu(0, 75), Room("cpu", 21, fixed=1, computes=False), DISK]
    assert counted(rooms) == [8, 5, 7]
    plan = usage(NEEDS, rooms, place(NEEDS, rooms))
    assert plan.fits()
    assert list(plan.devices) == ["cuda:0", "cpu"]
    alone = [Room("cpu", 60, fixed=1), DISK]
    assert counted(alone) == [(60 - 1 - 10 - 5 - 4 - 20) // 4, 15]
    assert usage(NEEDS, alone, place(NEEDS, alone)).total == 60


def test_a_first_device_that_cannot_even_hold_the_rest_does_not_fit():
    rooms = [gpu(0, 12), DISK]
    assert counted(rooms) == [0, 20]
    assert not usage(NEEDS, rooms, place(NEEDS, rooms)).fits()
    beside = [gpu(0, 12), gpu(1, 500)]
    plan = usage(NEEDS, beside, place(NEEDS, beside))
    assert plan.total < plan.free
    assert not plan.fits()


def test_a_cpu_that_is_too_small_for_what_gpus_cannot_hold_does_not_fit():
    rooms = [gpu(0, 75), Room("cpu", 40, fixed=1, computes=False)]
    plan = usage(NEEDS, rooms, place(NEEDS, rooms))
    assert plan.devices["cuda:0"].fits()
    assert not plan.fits()


@pytest.mark.parametrize("free", range(45, 120, 5))
def test_what_is_said_to_fit_does_whatever_the_budgets(free: int):
    """The count of `usage` and the filling of `place` are two roads to the same sizes."""
    for rooms in ([gpu(0, free), DISK], [gpu(0, free), gpu(1, 30), DISK], [gpu(0, 60), gpu(1, free), DISK]):
        assert usage(NEEDS, rooms, place(NEEDS, rooms)).fits()


def test_layers_are_shown_as_ranges():
    assert layers_shown([gpu(0, 0), gpu(1, 0), DISK], (0, 0, 2)) == {"cuda:0": "0-1", "disk": "2-2"}


def test_the_first_prompts_that_fit_decide_and_the_usual_one_is_thought_of():
    usual = NEEDS
    shorter = Needs(10, NEEDS.layers, cache=0.5, prefill=1, vision=5)
    longer = Needs(10, NEEDS.layers, cache=2, prefill=6, vision=5)
    rooms = [gpu(0, 75), DISK]
    layout = Layout(rooms, usual)
    assert Counter(layout.places)[0] == 8
    layout.plan(shorter)
    assert Counter(layout.places)[0] == 8
    assert not layout.plan(longer).fits()
    layout = Layout(rooms, usual)
    assert layout.plan(longer).fits()
    assert Counter(layout.places)[0] == (75 - 1 - 10 - 6 - 4 - 40) // 4
    layout.decide()
    assert Counter(layout.places)[0] == (75 - 1 - 10 - 6 - 4 - 40) // 4


def test_where_the_usual_prompt_has_no_room_a_shorter_one_may():
    cpu = Room("cpu", 70, fixed=1, computes=False)
    small = Needs(10, NEEDS.layers, cache=0.1, prefill=0, vision=0)
    layout = Layout([gpu(0, 36), cpu], NEEDS)
    assert layout.plan(small).fits()
    assert not layout.plan(NEEDS).fits()
