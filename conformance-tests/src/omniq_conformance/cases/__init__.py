"""The cases; importing this package registers them."""

from __future__ import annotations

from omniq_conformance.cases import (
    concurrent,
    deadlines,
    ending,
    following,
    limits,
    names,
    ordering,
    paging,
    programs,
    reopening,
    waking,
)

__all__ = [
    "concurrent",
    "deadlines",
    "ending",
    "following",
    "limits",
    "names",
    "ordering",
    "paging",
    "programs",
    "reopening",
    "waking",
]
