"""`omniq backend`: what is installed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from omniq.cli.command import group, json_option
from omniq.cli.output import Output
from omniq.models.config import Role

if TYPE_CHECKING:
    from omniq.storage.plugins import BackendListing

__all__ = ["command"]

command = group("backend", "List the backends that are installed.")


@command.command("list")
@json_option
def list_(*, as_json: bool) -> None:
    """Print every installed backend: its version, its roles, and why it cannot be used if it cannot.

    Nothing is connected and no driver is imported. What a backend can do with a given store is in `omniq doctor`.
    """
    from omniq.storage.plugins import foreign_omniq, list_backends

    out = Output(as_json=as_json)
    listings = list_backends()
    if as_json:
        out.data(
            [
                {
                    "name": listing.name,
                    "distribution": listing.distribution,
                    "version": listing.version,
                    "roles": listing.roles,
                    "default_url": listing.info.default_url if listing.info else None,
                    "api_version": listing.info.api_version if listing.info else None,
                    "description": listing.info.description if listing.info else "",
                    "disabled": listing.disabled,
                    "problem": listing.problem,
                }
                for listing in listings
            ]
        )
        return
    columns = ("NAME", "DISTRIBUTION", "VERSION", "ROLES", "DEFAULT STORE", "DESCRIPTION")
    rows = []
    for listing in listings:
        info = listing.info
        state = "disabled" if listing.disabled else "cannot be used" if listing.problem else _roles(listing)
        url, about = (info.default_url, info.description) if info else (None, "")
        rows.append((listing.name, listing.distribution, listing.version, state, url, about))
    out.table(columns, rows)
    for listing in listings:
        if listing.problem:
            out.note(f"{listing.name}: {listing.problem}")
    foreign = foreign_omniq()
    if foreign is not None:
        out.note(foreign)
    if not listings:
        out.note("No backend is installed. Install one with: pip install omniq-sqlite")


def _roles(listing: BackendListing) -> str:
    return "all four" if set(listing.roles) == set(Role) else ", ".join(listing.roles)
