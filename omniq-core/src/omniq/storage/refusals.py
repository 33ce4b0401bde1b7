"""The errors about backends that are not there or do not fit, worded so that the next step is plain."""

from __future__ import annotations

from typing import TYPE_CHECKING

from omniq.errors import PluginError, UnknownBackendError
from omniq.models.config import Role
from omniq.models.faults import closest

if TYPE_CHECKING:
    from collections.abc import Sequence

    from omniq.storage.plugins import BackendListing

__all__ = ["FIRST_PARTY", "install_command", "missing_module", "unsupported"]

FIRST_PARTY = {
    "file": "omniq-file",
    "memory": "omniq-memory",
    "nats": "omniq[nats]",
    "postgres": "omniq[postgres]",
    "redis": "omniq[redis]",
    "sqlite": "omniq-sqlite",
}
"""What pip installs for each backend of this project."""


def install_command(what: str, *, upgrade: bool = False) -> str:
    """Return the pip line for a distribution, quoted if the shell would read its extras."""
    quoted = f"'{what}'" if "[" in what else what
    return f"pip install {'--upgrade ' if upgrade else ''}{quoted}"


def unsupported(role: Role, name: str, installed: Sequence[BackendListing], foreign: str | None) -> UnknownBackendError:
    """Return the error of a backend that cannot keep a role. Its first line is promised by the user documents."""
    lines = [f"Unsupported {role.value} backend: {name}"]
    listing = next((listing for listing in installed if listing.name == name), None)
    if listing is None:
        lines += _not_installed(name, installed)
    elif listing.disabled:
        lines.append(f"It is installed, but OMNIQ_DISABLED_PLUGINS names it. Remove {name!r} from that variable.")
    else:
        roles = ", ".join(listing.roles) or "no role"
        variable = role.type_variable
        lines.append(f"{listing.distribution} offers {roles} only. Choose another backend with {variable} or in code.")
    lines.append(_installed(installed))
    if foreign is not None:
        lines.append(foreign)
    return UnknownBackendError("\n".join(lines))


def missing_module(name: str, distribution: str, error: ImportError) -> PluginError:
    """Return the error of a backend whose driver, or a part of it, cannot be imported."""
    missing = isinstance(error, ModuleNotFoundError) and error.name
    what = f"the module {error.name!r} is not installed" if missing else str(error)
    command = install_command(FIRST_PARTY.get(name, distribution or name), upgrade=True)
    return PluginError(f"The {name} backend ({distribution}) is installed but cannot be imported: {what}. {command}")


def _not_installed(name: str, installed: Sequence[BackendListing]) -> list[str]:
    if name in FIRST_PARTY:
        return [f"It is not installed. Install it with: {install_command(FIRST_PARTY[name])}"]
    known = {*FIRST_PARTY, *(listing.name for listing in installed)}
    meant = closest(name.lower(), known)
    hint = f" Did you mean {meant!r}?" if meant else ""
    return [f"No installed backend and no first-party backend has this name.{hint}"]


def _installed(installed: Sequence[BackendListing]) -> str:
    if not installed:
        return "No backend is installed."
    described = []
    for listing in installed:
        if listing.disabled:
            state = "disabled"
        elif listing.problem:
            state = "broken"
        elif set(listing.roles) == set(Role):
            state = "all roles"
        else:
            state = ", ".join(listing.roles)
        described.append(f"{listing.name} ({state})")
    return f"Installed: {', '.join(described)}."
