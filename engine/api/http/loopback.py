"""Loopback: the names and addresses that are this machine's own, which no other can have."""

from __future__ import annotations

import ipaddress


def is_loopback(name: str) -> bool:
    """Whether a name or address is one: ``localhost``, what ends in ``.localhost`` (RFC 6761),
    127.0.0.0/8, ::1."""
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return name == "localhost" or name.endswith(".localhost")
