"""Urls whose host and port are replaced."""

from __future__ import annotations

import re
from urllib.parse import urlsplit, urlunsplit

from omniq.models.redaction import redact_text
from omniq_conformance.outcomes import UnverifiedError

__all__ = ["address_of", "parts_of", "proxied"]

_PORTS = {
    "http": 80,
    "https": 443,
    "nats": 4222,
    "postgres": 5432,
    "postgresql": 5432,
    "redis": 6379,
    "rediss": 6379,
    "tls": 4222,
    "valkey": 6379,
    "valkeys": 6379,
}


def parts_of(url: str) -> list[str]:
    """Return the urls of the servers that an url names: one, or those of a cluster, separated by commas."""
    return re.split(r",(?=[a-z][a-z+]*://)", url)


def address_of(url: str) -> tuple[str, int]:
    """Return the host and port that an url means.

    Raises:
        UnverifiedError: It means no single address of a network, or leaves the port of a strange scheme open.
    """
    parts = urlsplit(url)
    host = parts.hostname
    try:
        port = parts.port or _PORTS.get(parts.scheme.partition("+")[0])
    except ValueError:  # several hosts with ports
        port = None
    if not host or port is None or "," in parts.netloc:
        msg = f"A proxy needs the one host and port of a server, as in redis://localhost:6379, not {redact_text(url)}."
        raise UnverifiedError(msg)
    return host, port


def proxied(url: str, host: str, port: int) -> str:
    """Return the url with another host and port; everything else, such as a password, stays.

    Raises:
        UnverifiedError: As of `address_of`.
    """
    address_of(url)
    parts = urlsplit(url)
    user, at, _ = parts.netloc.rpartition("@")
    return urlunsplit(parts._replace(netloc=f"{user}{at}{host}:{port}"))
