"""Which addresses lead inside."""

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from indexer.errors import AddressRefused, ConfigurationError
from indexer.fetching.addresses import Boundary, networks, plain

INSIDE = """
    127.0.0.1 127.8.9.10 0.0.0.0 10.0.0.1 172.16.0.1 172.31.255.255 192.168.1.1 169.254.169.254 169.254.170.2
    100.100.100.200 100.64.0.1 192.0.0.192 192.0.2.1 198.18.0.1 198.51.100.1 203.0.113.1 224.0.0.1 239.255.255.250
    240.0.0.1 255.255.255.255 168.63.129.16 192.88.99.1
    :: ::1 ::127.0.0.1 fe80::1 fe80::1%eth0 fc00::1 fd00:ec2::254 ff02::1 fec0::1 2001:db8::1 2001::1 3fff::1 100::1
    ::ffff:127.0.0.1 ::ffff:10.0.0.1 ::ffff:169.254.169.254 ::ffff:7f00:1 64:ff9b::7f00:1 64:ff9b::10.0.0.1
    64:ff9b:1::1 2002:7f00:1:: 2002:a00:1::1
"""
OUTSIDE = "1.1.1.1 8.8.8.8 93.184.216.34 172.32.0.1 2606:4700:4700::1111 ::ffff:1.1.1.1 64:ff9b::1.1.1.1"


@pytest.mark.parametrize("address", INSIDE.split())
def test_what_leads_inside_is_refused(address: str) -> None:
    """Private, loopback, link-local, metadata, multicast, reserved: also in disguise. The setting is named."""
    with pytest.raises(AddressRefused, match="SIGHTLINE_FETCH__NETWORKS"):
        Boundary().check(address, "shop.example")


@pytest.mark.parametrize("address", OUTSIDE.split())
def test_public_addresses_pass(address: str) -> None:
    """Those of the internet, written in any way."""
    Boundary().check(address, address)


@given(st.ip_addresses(v=4))
def test_a_disguise_changes_nothing(address: ipaddress.IPv4Address) -> None:
    """An IPv4 address is judged alike by itself, mapped into IPv6 and translated."""
    forms = (str(address), f"::ffff:{address}", str(ipaddress.IPv6Address(0x64FF9B << 96 | int(address))))
    assert {plain(form) for form in forms} == {address}
    assert len({_passes(form) for form in forms}) == 1
    assert not _passes(str(address)) or address.is_global


@given(st.ip_addresses(v=6))
def test_only_unicast_of_the_internet_passes(address: ipaddress.IPv6Address) -> None:
    """Whatever lies outside of 2000::/3 leads inside, or nowhere."""
    if address not in ipaddress.ip_network("2000::/3") and plain(str(address)) == address:
        assert not _passes(str(address))


def test_this_machine_is_inside_by_any_address(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also by a public one of its own."""
    monkeypatch.setattr("indexer.fetching.addresses._own", lambda: {"93.184.216.34"})
    with pytest.raises(AddressRefused, match="this machine itself"):
        Boundary().check("93.184.216.34", "me.example")


def test_the_operator_may_allow_a_network() -> None:
    """That network, and no other; in disguise it is the same network."""
    boundary = Boundary(networks(" 10.1.0.0/16, fd12::/48,"))
    for address in ("10.1.2.3", "::ffff:10.1.2.3", "fd12::1"):
        boundary.check(address, "dam.example")
    for address in ("10.2.0.1", "fd13::1", "127.0.0.1"):
        with pytest.raises(AddressRefused):
            boundary.check(address, "dam.example")


@pytest.mark.parametrize("text", ["10.1.0.0/33", "10.1.2.3/16", "shop.example"])
def test_what_is_no_network_is_named(text: str) -> None:
    """A slip in the setting is told with the setting's name."""
    with pytest.raises(ConfigurationError, match="SIGHTLINE_FETCH__NETWORKS"):
        networks(text)


def _passes(address: str) -> bool:
    try:
        Boundary().check(address, address)
    except AddressRefused:
        return False
    return True
