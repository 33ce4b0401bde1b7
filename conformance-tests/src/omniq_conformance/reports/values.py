"""Evidence and capabilities as JSON values."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

__all__ = ["jsonable"]


def jsonable(value: object) -> Any:
    """Return a value as JSON knows it: what it has no value for becomes text, such as bytes and infinity."""
    match value:
        case None | bool() | int():
            return value
        case str():
            return str(value)
        case float():
            return value if math.isfinite(value) else str(value)
        case Mapping():
            return {str(key): jsonable(each) for key, each in value.items()}
        case Sequence() | set() | frozenset() if not isinstance(value, (bytes, bytearray)):
            return [
                jsonable(each) for each in (sorted(value, key=str) if isinstance(value, (set, frozenset)) else value)
            ]
        case _:
            return str(value)
