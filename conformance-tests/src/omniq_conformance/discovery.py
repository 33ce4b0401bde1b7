"""Finds the harness of a backend by its entry point."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING

from importlib_metadata import entry_points

from omniq_conformance.harness import Harness

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["GROUP", "find_harness", "harness_names"]

GROUP = "omniq.conformance"
"""The group of entry points: the name is the backend's, the object its harness class."""


def harness_names() -> Sequence[str]:
    """Return the backends that brought a harness, by name."""
    return sorted({entry.name for entry in entry_points(group=GROUP)})


def find_harness(name: str, url: str | None = None) -> Harness:
    """Make the harness of a backend.

    Args:
        name: The backend, or `module:Class` for a harness without an entry point.
        url: Which store or server to use; None for one of the harness's own.

    Raises:
        ValueError: There is no such harness.
        TypeError: What was found is none.
    """
    kind = _load(name)
    if not (isinstance(kind, type) and issubclass(kind, Harness)):
        msg = f"{name!r} is {kind!r}, which is no subclass of omniq_conformance.Harness."
        raise TypeError(msg)
    return kind(url)


def _load(name: str) -> object:
    found = [entry for entry in entry_points(group=GROUP) if entry.name == name]
    if found:
        return found[0].load()
    if ":" in name:
        from importlib import import_module

        module, _, attribute = name.partition(":")
        return getattr(import_module(module), attribute, None)
    known = harness_names()
    close = difflib.get_close_matches(name, known, 1)
    hint = f" Did you mean {close[0]!r}?" if close else ""
    msg = (
        f"No installed backend brings a harness called {name!r}.{hint} Installed: {', '.join(known) or 'none'}. "
        f"A harness is found by an entry point of the group {GROUP!r}, or is given as module:Class."
    )
    raise ValueError(msg)
