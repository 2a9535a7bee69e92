# SPDX-License-Identifier: Apache-2.0
"""Which packets of H.264 nothing refers to: those that FFmpeg's own decoder leaves out when told to."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import av
import pytest

from llava_cli.media.h264 import is_reference, nal_length_size


@pytest.mark.parametrize("name", ["h264", "open_gop", "intra_refresh", "mkv", "mpegts", "annex_b", "avi_h264"])
def test_what_the_decoder_keeps_is_what_is_referred_to(rendered: Callable[[str], Path], name: str) -> None:
    with av.open(str(rendered(name))) as container:
        decoder = container.streams.video[0].codec_context
        decoder.thread_count, decoder.skip_frame = 1, "NONREF"
        packets = [packet for packet in container.demux(video=0) if packet.size]
        kept = sum(len(decoder.decode(packet)) for packet in packets) + len(decoder.decode(None))
        said = [is_reference(bytes(packet), nal_length_size(decoder.extradata)) for packet in packets]
    assert sum(said) == kept
    assert said[0]
    assert all(said) == (name == "intra_refresh"), "without B-frames, all but the last are referred to"


@pytest.mark.parametrize(
    ("packet", "reference"),
    [
        (b"\0\0\0\2\x41\x9a", True),
        (b"\0\0\0\2\x01\x9a", False),
        (b"\0\0\0\3\x06\x05\x80" + b"\0\0\0\2\x01\x9a", False),
        (b"\0\0\0\2\x51\x9a", True),  # no slice: a header that was hit
        (b"\0\0\0\2\x81\x9a", True),
        (b"\0\0\0\x7f\x06", True),  # lengths beyond the packet
        (b"\xff\xff\xff\xff\x01", False),
        (b"\0\0", True),
        (b"", True),
    ],
)
def test_packets_in_pieces(packet: bytes, reference: bool) -> None:
    assert is_reference(packet, 4) is reference


def test_units_between_start_codes() -> None:
    assert is_reference(b"\0\0\0\1\x09\xf0\0\0\1\x41\x9a", None)
    assert not is_reference(b"\0\0\0\1\x09\xf0\0\0\1\x01\x9a", None)
    assert is_reference(b"\0\0\0\1\x09\xf0\0\0\1", None)
    assert is_reference(b"no start code", None)
