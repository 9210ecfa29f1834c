"""Which machines may be reached from here on a stranger's word: public ones, and none that leads inside.

A server that fetches what it is told can be told to fetch from itself, from its neighbours behind the firewall, or
from the address at which clouds hand out credentials. What counts is the address connected to, in whatever disguise:
an IPv4 address inside an IPv6 one is looked at as what it is.
"""

import ipaddress
from dataclasses import dataclass

import psutil

from indexer.errors import AddressRefused, ConfigurationError

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

# Public by their number, but answered from inside: Azure's host agent; protocol assignments, among them Oracle's
# metadata; the relays of a transition given up in 2015.
_INSIDE = tuple(ipaddress.ip_network(net) for net in ("168.63.129.16/32", "192.0.0.0/24", "192.88.99.0/24"))
# The only IPv6 addresses in use on the internet, and what of them is none: 6to4 (an IPv4 address in disguise, routed
# by whoever offers) and addresses for documentation. Teredo lies in 2001::/23, which `is_global` knows.
_UNICAST = ipaddress.ip_network("2000::/3")
_UNUSED = tuple(ipaddress.ip_network(net) for net in ("2002::/16", "3fff::/20"))
_NAT64 = ipaddress.ip_network("64:ff9b::/96")


@dataclass(frozen=True)
class Boundary:
    """What may be reached: public addresses, and the networks `allowed` by the operator."""

    allowed: tuple[Network, ...] = ()

    def check(self, text: str, host: str) -> None:
        """Raises AddressRefused unless the address `text`, which `host` stands for, may be connected to."""
        address = plain(text)
        if any(address in network for network in self.allowed if network.version == address.version):
            return
        if (inside := _inside(address)) is not None:
            shown = host if host == text else f"{host} ({text})"
            raise AddressRefused(
                f"{shown} is not fetched from: it is {inside}. Give a public address; who runs this server can allow"
                " a network with SIGHTLINE_FETCH__NETWORKS."
            )


def networks(text: str) -> tuple[Network, ...]:
    """Networks named in a setting, commas between: "10.1.0.0/16, fd12::/48, 192.168.1.7".

    Raises:
        ConfigurationError: one is no network.
    """
    found = []
    for name in (part.strip() for part in text.split(",")):
        try:
            found += [ipaddress.ip_network(name)] if name else []
        except ValueError as error:
            raise ConfigurationError(f"SIGHTLINE_FETCH__NETWORKS: {error}. Write 10.1.0.0/16.") from error
    return tuple(found)


def plain(text: str) -> Address:
    """An address without disguise: the IPv4 address inside a mapped (::ffff:a.b.c.d) or translated one (NAT64)."""
    address = ipaddress.ip_address(text)
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            return address.ipv4_mapped
        if address in _NAT64:
            return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address


def _inside(address: Address) -> str | None:
    """What an address that is not to be reached is, in words; None for a public one."""
    for found, words in (
        (address.is_unspecified, "no address of a machine"),
        (address.is_loopback, "this machine itself"),
        (address.is_link_local, "a link-local address, where clouds keep credentials"),
        (address.is_multicast, "a multicast address"),
        (str(address) in _own(), "this machine itself"),
    ):
        if found:
            return words
    unused = address.version == 6 and (address not in _UNICAST or any(address in net for net in _UNUSED))
    special = address.version == 4 and any(address in net for net in _INSIDE)
    if unused or special or address.is_reserved or not address.is_global:
        return "a private or reserved address"
    return None


def _own() -> set[str]:
    """This machine's addresses: a public one among them leads inside all the same."""
    return {entry.address.split("%")[0] for entries in psutil.net_if_addrs().values() for entry in entries}
