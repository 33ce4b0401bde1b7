"""Texts that PostgreSQL cannot keep as they are: it has no NUL character and no lone surrogates."""

from __future__ import annotations

import re
from typing import overload

__all__ = ["given", "kept"]

_MARK = "\x01"
_ODD = re.compile("[\x00\x01\ud800-\udfff]")
_MARKED = re.compile(r"\x01([0-9a-f]{4})")


@overload
def kept(text: str) -> str: ...
@overload
def kept(text: None) -> None: ...
def kept(text: str | None) -> str | None:
    """Return a text as it is stored: characters that cannot be are written as the mark and four hex digits."""
    if text is None or text.isprintable():
        return text
    return _ODD.sub(lambda found: f"{_MARK}{ord(found[0]):04x}", text)


@overload
def given(text: str) -> str: ...
@overload
def given(text: None) -> None: ...
def given(text: str | None) -> str | None:
    """Return what `kept` was given."""
    if text is None or _MARK not in text:
        return text
    return _MARKED.sub(lambda found: chr(int(found[1], 16)), text)
