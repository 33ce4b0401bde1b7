"""Names of files for ids: readable where they can be, distinct always, and never leading anywhere else."""

from __future__ import annotations

import hashlib
import re

__all__ = ["file_stem"]

_SAFE = re.compile(r"[a-z0-9_\-][a-z0-9_.\-]*")
_KEPT = frozenset(b"abcdefghijklmnopqrstuvwxyz0123456789_-.")
_RESERVED = re.compile(r"(con|prn|aux|nul|com[0-9]|lpt[0-9])(\..*)?")
_LONGEST = 180
_SHOWN = 120


def file_stem(name: str) -> str:
    """Return a file name without its ending for an id.

    Other bytes of the id in UTF-8 than small letters, digits, `_`, `-` and `.` are written as `%` and two digits:
    capital letters too, because some file systems do not tell them apart. What is too long ends in `~` and a hash.
    """
    if _SAFE.fullmatch(name) and len(name) <= _LONGEST and name[-1] != "." and not _RESERVED.fullmatch(name):
        return name
    data = name.encode("utf-8", "surrogatepass")
    parts = [chr(byte) if byte in _KEPT else f"%{byte:02x}" for byte in data]
    if parts and (parts[0] == "." or _RESERVED.fullmatch("".join(parts))):
        parts[0] = f"%{data[0]:02x}"
    if parts and parts[-1] == ".":
        parts[-1] = "%2e"
    encoded = "".join(parts)
    if len(encoded) <= _LONGEST:
        return encoded
    return f"{encoded[:_SHOWN]}~{hashlib.blake2b(data, digest_size=16).hexdigest()}"
