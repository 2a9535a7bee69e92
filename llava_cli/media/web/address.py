# SPDX-License-Identifier: Apache-2.0
"""Which addresses of the internet may be read from. A URL must not reach into the network that this machine is in."""

from __future__ import annotations

import ipaddress
import socket

from llava_cli.media.errors import MediaError

GLOBAL_UNICAST = ipaddress.ip_network("2000::/3")
"""What IPv6 has given out. NAT64's, mapped and compatible addresses, which stand for others, lie outside."""

SPECIAL = tuple(
    map(
        ipaddress.ip_network,
        (
            "192.0.0.0/24", "192.31.196.0/24", "192.52.193.0/24", "192.88.99.0/24", "192.175.48.0/24", "2001::/23",
            "2001:db8::/32", "2002::/16", "2620:4f:8000::/48", "3fff::/20",
        ),
    )
)  # fmt: skip
"""What IANA has set aside for protocols, relays, tunnels (Teredo, 6to4) and examples, where Python does not say so."""


def is_public(text: str) -> bool:
    """Whether an address belongs to the public internet, for one machine, by no detour."""
    address = ipaddress.ip_address(text.partition("%")[0])
    if address.is_multicast or not address.is_global:
        return False
    if address.version == 6 and address not in GLOBAL_UNICAST:
        return False
    return not any(address.version == network.version and address in network for network in SPECIAL)


def resolve(host: str, port: int, private: bool) -> list[str]:
    """A host's addresses.

    Raises:
        MediaError: it has none, or one that is not public, and `private` does not allow those.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise MediaError(f"cannot be reached: no address of {host} is known") from error
    addresses = list(dict.fromkeys(str(entry[4][0]) for entry in found))
    for address in addresses:
        if not private and not is_public(address):
            raise MediaError(
                f"is not read: {host} is at {address}, which is no public address; --allow-private-urls allows that"
            )
    return addresses
