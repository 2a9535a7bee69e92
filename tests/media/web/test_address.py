# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import socket

import pytest

from llava_cli.media.errors import MediaError
from llava_cli.media.web.address import is_public, resolve


@pytest.mark.parametrize("address", ["93.184.215.14", "1.1.1.1", "2606:4700:4700::1111", "2a00:1450:4001:80b::200e"])
def test_public_addresses(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "127.255.255.254", "0.0.0.0", "10.1.2.3", "172.16.0.1", "172.31.255.255", "192.168.1.1",
        "169.254.169.254", "100.64.0.1", "192.0.0.8", "192.0.2.1", "198.18.0.1", "198.51.100.7", "203.0.113.9",
        "224.0.0.1", "239.255.255.250", "240.0.0.1", "255.255.255.255", "192.88.99.1",
        "::", "::1", "::ffff:127.0.0.1", "::ffff:8.8.8.8", "::127.0.0.1", "fe80::1", "fe80::1%eth0", "fc00::1",
        "fd12:3456::1", "fec0::1", "ff02::1", "2001:db8::1", "2001::1", "2002:7f00:1::", "2002:808:808::",
        "64:ff9b::7f00:1", "64:ff9b::808:808", "64:ff9b:1::1", "100::1", "5f00::1", "4000::1",
        # the rest of what IANA has set aside
        "192.0.0.9", "192.31.196.1", "192.52.193.1", "192.175.48.1", "100:0:0:1::1", "2001:1::1", "2001:3::1",
        "2001:4:112::1", "2001:10::1", "2001:20::1", "2001:30::1", "2620:4f:8000::1", "3fff::1", "3fff:fff::1",
    ],
)  # fmt: skip
def test_addresses_that_lead_elsewhere(address: str) -> None:
    assert not is_public(address)


def names(monkeypatch: pytest.MonkeyPatch, *addresses: str) -> None:
    found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, 80)) for address in addresses]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)


def test_one_address_that_is_not_public_is_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    names(monkeypatch, "1.1.1.1", "1.0.0.1", "1.1.1.1")
    assert resolve("x", 80, private=False) == ["1.1.1.1", "1.0.0.1"]
    names(monkeypatch, "1.1.1.1", "10.0.0.1")
    with pytest.raises(MediaError, match=r"x is at 10\.0\.0\.1, which is no public address; --allow-private-urls"):
        resolve("x", 80, private=False)
    assert resolve("x", 80, private=True) == ["1.1.1.1", "10.0.0.1"]


@pytest.mark.parametrize("host", ["0x7f.1", "2130706433", "0177.0.0.1", "127.1", "localhost"])
def test_other_spellings_of_this_machine(host: str) -> None:
    """What the resolver makes of a name is looked at, not the name."""
    with pytest.raises(MediaError, match=r"no public address|no address of"):
        resolve(host, 80, private=False)
