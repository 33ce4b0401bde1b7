"""Records in a file: a line of length and checksum in hexadecimal digits, and the payload."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["HEADER", "Scan", "frame", "salvage", "scan"]

HEADER = 18
"""Bytes before a payload: `0000012a 1f2e3d4c `."""


class Scan(NamedTuple):
    """What a stretch of a file has.

    Attributes:
        payloads: Of the whole records at its beginning.
        size: How many bytes these take.
        is_damaged: Whether a record follows after something that is none; else the rest, if any, was being written.
    """

    payloads: list[bytes]
    size: int
    is_damaged: bool


def frame(*payloads: bytes) -> bytes:
    """Return payloads as records; large ones are copied once."""
    parts: list[bytes] = []
    for payload in payloads:
        parts += (b"%08x %08x " % (len(payload), zlib.crc32(payload)), payload, b"\n")
    return b"".join(parts)


def scan(data: bytes) -> Scan:
    """Split records."""
    payloads: list[bytes] = []
    offset, total = 0, len(data)
    while offset < total:
        payload = _record(data, offset)
        if payload is None:
            return Scan(payloads, offset, _has_record(data, offset + 1))
        payloads.append(payload)
        offset += HEADER + len(payload) + 1
    return Scan(payloads, offset, is_damaged=False)


def salvage(data: bytes) -> Iterator[bytes]:
    """Yield the whole records of a stretch in which something is damaged."""
    offset, total = 0, len(data)
    while offset < total:
        payload = _record(data, offset)
        if payload is not None:
            yield payload
            offset += HEADER + len(payload) + 1
            continue
        offset = data.find(b"\n", offset) + 1
        if offset == 0:
            return


def _record(data: bytes, offset: int) -> bytes | None:
    """Return the payload of the record that begins here."""
    header = data[offset : offset + HEADER]
    if len(header) < HEADER or header[8:9] != b" " or header[17:18] != b" ":
        return None
    try:
        size, checksum = int(header[:8], 16), int(header[9:17], 16)
    except ValueError:
        return None
    end = offset + HEADER + size
    if size < 0 or data[end : end + 1] != b"\n":
        return None
    payload = data[offset + HEADER : end]
    return payload if zlib.crc32(payload) == checksum else None


def _has_record(data: bytes, offset: int) -> bool:
    """Tell whether a whole record begins after a line break from here on."""
    while (offset := data.find(b"\n", offset) + 1) > 0:
        if _record(data, offset) is not None:
            return True
    return False
