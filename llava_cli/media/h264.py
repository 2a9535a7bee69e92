# SPDX-License-Identifier: Apache-2.0
"""What a packet of H.264 says of itself in the headers of its NAL units.

A decoder that is told to leave out what nothing refers to takes a packet without any slice for one of those, and says
nothing. Such a packet is damaged, and may have been what others refer to: it has to be fed as one that is wanted.
"""

from __future__ import annotations

from collections.abc import Iterator

START_CODE = b"\0\0\1"
FORBIDDEN_ZERO_BIT, NAL_REF_IDC, NAL_UNIT_TYPE = 0x80, 0x60, 0x1F  # bits of the byte that each unit begins with
SLICES = range(1, 6)


def nal_length_size(extradata: bytes | None) -> int | None:
    """Bytes that hold a unit's length, as mp4 and Matroska have it; None where start codes part the units."""
    return (extradata[4] & 3) + 1 if extradata and len(extradata) > 4 and extradata[0] == 1 else None


def is_reference(packet: bytes, nal_length_size: int | None) -> bool:
    """Whether other frames may refer to this one: whether its first slice says so, or there is none."""
    for header in _nal_headers(packet, nal_length_size):
        if header & NAL_UNIT_TYPE in SLICES and not header & FORBIDDEN_ZERO_BIT:
            return bool(header & NAL_REF_IDC)
    return True


def _nal_headers(packet: bytes, nal_length_size: int | None) -> Iterator[int]:
    place = 0
    while True:
        if nal_length_size is None:
            found = packet.find(START_CODE, place)
            place = found + len(START_CODE) if found >= 0 else len(packet)
            step = 1
        else:
            step = int.from_bytes(packet[place : place + nal_length_size])
            place += nal_length_size
        if place >= len(packet):
            return
        yield packet[place]
        place += step
