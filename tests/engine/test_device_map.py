# SPDX-License-Identifier: Apache-2.0
"""What may stand after --device-map."""

from __future__ import annotations

import pytest

from llava_cli.engine.device_map import parse_device_map
from llava_cli.errors import UsageError

GIB = 1 << 30


@pytest.mark.parametrize(
    ("text", "limits"),
    [
        ("auto", {"auto": None}),
        ("0,1", {"cuda:0": None, "cuda:1": None}),
        ("cuda:1", {"cuda:1": None}),
        ("auto=20G,0=10G", {"auto": 20 * GIB, "cuda:0": 10 * GIB}),
        ("cpu=4G, disk", {"cpu": 4 * GIB, "disk": None}),
        ("disk,cpu,10,2", {"cuda:2": None, "cuda:10": None, "cpu": None, "disk": None}),
    ],
)
def test_devices_come_in_the_order_in_which_they_are_filled(text: str, limits: dict[str, int | None]) -> None:
    assert list(parse_device_map(text).limits) == list(limits.items())


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "'' is no device map; write auto, 0,1, auto,cpu or 0=20G,cpu=60G,disk"),
        ("0,,1", "is no device map"),
        ("gpu", "is no device map"),
        ("-1", "is no device map"),
        ("0,disk=5G", "is no device map"),
        ("0=", "'0=' is no device map"),
        ("cpu=4X", "'cpu=4X' is no device map"),
        ("cpu=" + "9" * 5000, f"'cpu={'9' * 36}…' is no device map"),
        ("disk", "disk alone computes nothing; write cpu,disk or auto,disk"),
    ],
)
def test_what_is_no_device_map(text: str, message: str) -> None:
    with pytest.raises(UsageError) as raised:
        parse_device_map(text)
    assert message in str(raised.value)
