"""The Lua scripts: each file of `lua/` is an operation, put behind the parts that its first line names."""

from __future__ import annotations

import hashlib
from functools import cache
from importlib.resources import files

import attrs

__all__ = ["Script", "script"]

_USES = "-- uses: "
_READ_ONLY = "-- read-only"


@attrs.frozen
class Script:
    """One script as the server keeps it.

    Attributes:
        name: The file without its suffix.
        source: The whole text.
        sha: By which the server knows it.
        changes: Whether it may change anything.
    """

    name: str
    source: str
    sha: str
    changes: bool


@cache
def script(name: str) -> Script:
    """Return a script."""
    body = _text(name)
    head = body.split("\n", 2)[:2]
    parts = next((line.removeprefix(_USES).split() for line in head if line.startswith(_USES)), [])
    changes = _READ_ONLY not in head
    # With this line the server refuses the whole script where it would have to refuse a part: no memory, no disk.
    flags = "#!lua" if changes else "#!lua flags=no-writes"
    source = "\n".join([flags, *(_text(part) for part in ("prelude", *parts)), body])
    return Script(name, source, hashlib.sha1(source.encode(), usedforsecurity=False).hexdigest(), changes)


@cache
def _text(name: str) -> str:
    return files("omniq_redis").joinpath("lua", f"{name}.lua").read_text("utf-8")
