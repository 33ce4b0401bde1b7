"""The Lua scripts: each file of `lua/` is an operation, put behind the parts that its first line names."""

from __future__ import annotations

import hashlib
import re
from functools import cache
from importlib.resources import files

import attrs

__all__ = ["Script", "script"]

_USES = "-- uses: "
_READ_ONLY = "-- read-only"
_COMMENT = re.compile(r"^\s*--.*\n| -- .*$", re.MULTILINE)
_CONSTANTS = re.compile(r"^local ([A-Z_, ]+) = ([0-9, ]+)$", re.MULTILINE)
_CHUNK = re.compile(r"(?:local )?function (?:.*\n)+?end\n|.*\n")
_DEFINED = re.compile(r"(?:local )?function (?P<name>\w+)|local (?P<names>[\w, ]+) = (?:\{\}|false|, )+\n")
_NAME = re.compile(r"[A-Za-z_]\w*")
_WORD = re.compile(r"\b[A-Z_]+\b")


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
    shared = "".join(_text(part) for part in ("prelude", *parts))
    source = f"{flags}\n{_used(_with_numbers(shared + body))}"
    return Script(name, source, hashlib.sha1(source.encode(), usedforsecurity=False).hexdigest(), changes)


def _with_numbers(source: str) -> str:
    """Put the numbers in place of the constants that stand for them, and leave the comments out.

    Constants would be upvalues of every function that uses them, and to make those takes longer than most operations.
    """
    source = _COMMENT.sub("", source)
    numbers: dict[str, str] = {}
    for names, values in _CONSTANTS.findall(source):
        numbers |= zip(names.split(", "), values.split(", "), strict=True)
    return _WORD.sub(lambda word: numbers.get(word[0], word[0]), _CONSTANTS.sub("", source))


def _used(source: str) -> str:
    """Leave out what is defined and not used: to define all that one operation may need takes longer than most do."""
    chunks = _CHUNK.findall(source)
    defined = [_DEFINED.match(chunk) for chunk in chunks]
    names = [None if found is None else set(_NAME.findall(found["name"] or found["names"])) for found in defined]
    needed: set[int] = set()
    words: set[str] = set()
    while found := {number for number, own in enumerate(names) if own is None or own & words} - needed:
        needed |= found
        words.update(*(_NAME.findall(chunks[number]) for number in found))
    return "".join(chunk for number, chunk in enumerate(chunks) if number in needed)


@cache
def _text(name: str) -> str:
    return files("omniq_redis").joinpath("lua", f"{name}.lua").read_text("utf-8")
