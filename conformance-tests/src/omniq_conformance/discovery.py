"""Finds the harness of a backend by its entry point."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING

from importlib_metadata import entry_points

from omniq.models.config import Role
from omniq_conformance.harness import ATTRIBUTES, Harness

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["GROUP", "find_harness", "harness_names"]

GROUP = "omniq.conformance"
"""The group of entry points: the name is the backend's, the object its harness class."""


def harness_names() -> Sequence[str]:
    """Return the backends that brought a harness, by name."""
    return sorted({entry.name for entry in entry_points(group=GROUP)})


def find_harness(name: str, url: str | None = None) -> Harness:
    """Make the harness of a backend, or of several that keep a role each.

    Args:
        name: The backend, or `module:Class` for a harness without an entry point. Several are given as
            `task_queue=sqlite,results=memory`, by the names of the configuration (`result_storage`) or short ones; one
            without a role keeps the roles that are not named: `sqlite,results=memory`.
        url: Which store or server to use; None for one of the harness's own.

    Raises:
        ValueError: There is no such harness or role, or a url is given for several backends.
        TypeError: What was found is none.
    """
    if "=" in name or "," in name:
        return _mixed(name, url)
    return _single(name, url)


def _mixed(names: str, url: str | None) -> Harness:
    from omniq_conformance.mixed import MixedHarness

    if url is not None:
        msg = f"The url {url!r} could be that of any of the backends in {names!r}. Leave it out."
        raise ValueError(msg)
    parts: dict[Role, Harness] = {}
    rest: Harness | None = None
    for each in names.split(","):
        role, equals, name = each.strip().rpartition("=")
        member = _single(name.strip())
        if equals:
            parts[_role(role.strip())] = member
        elif rest is None:
            rest = member
        else:
            msg = f"{names!r} names several backends without a role. Say which role each of them keeps: role=backend."
            raise ValueError(msg)
    if rest is not None:
        parts = {role: parts.get(role, rest) for role in Role}
    return MixedHarness(parts)


def _role(name: str) -> Role:
    known = {role.key: role for role in Role} | {attribute: role for role, attribute in ATTRIBUTES.items()}
    if name in known:
        return known[name]
    close = difflib.get_close_matches(name, known, 1)
    hint = f" Did you mean {close[0]!r}?" if close else ""
    msg = f"There is no role {name!r}.{hint} Roles: {', '.join(role.key for role in Role)}."
    raise ValueError(msg)


def _single(name: str, url: str | None = None) -> Harness:
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
