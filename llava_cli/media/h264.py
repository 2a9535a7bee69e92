# SPDX-License-Identifier: Apache-2.0
"""What a packet of H.264 says of itself in the clear.

A decoder that is told to leave out what nothing refers to takes a packet without any slice for one of those, and says
nothing. Such a packet is damaged, and may have been what others refer to: it has to be fed as one that is wanted.
"""

from __future__ import annotations

from collections.abc import Iterator

START_CODE = b"\0\0\1"
FORBIDDEN, IMPORTANCE, KIND = 0x80, 0x60, 0x1F  # bits of the byte that each unit begins with
SLICES = range(1, 6)


def length_size(extradata: bytes | None) -> int | None:
    """Return how many bytes hold a unit's length, as mp4 and Matroska have it; None where start codes part them."""
    return (extradata[4] & 3) + 1 if extradata and len(extradata) > 4 and extradata[0] == 1 else None


def is_reference(packet: bytes, length_size: int | None) -> bool:
    """Return whether other frames may refer to this one: whether its first slice says so, or there is none."""
    for head in _heads(packet, length_size):
        if head & KIND in SLICES and not head & FORBIDDEN:
            return bool(head & IMPORTANCE)
    return True


def _heads(packet: bytes, length_size: int | None) -> Iterator[int]:
    """Yield the byte that each unit begins with."""
    place = 0
    while True:
        if length_size is None:
            found = packet.find(START_CODE, place)
            place = found + len(START_CODE) if found >= 0 else len(packet)
            step = 1
        else:
            step = int.from_bytes(packet[place : place + length_size])
            place += length_size
        if place >= len(packet):
            return
        yield packet[place]
        place += step
