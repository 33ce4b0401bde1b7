"""What a run is about: the header of its report, for which the harness is tried once."""

from __future__ import annotations

import asyncio
import os
import platform
from typing import TYPE_CHECKING

import attrs
from importlib_metadata import PackageNotFoundError, version

from omniq.storage.plugins import list_backends
from omniq_conformance.harness import ATTRIBUTES
from omniq_conformance.outcomes import HarnessError, named
from omniq_conformance.reports.report import Header, now
from omniq_conformance.reports.values import jsonable
from omniq_conformance.space import checked

if TYPE_CHECKING:
    from omniq.storage.capabilities import Capabilities
    from omniq_conformance.harness import Harness
    from omniq_conformance.profiles import Profile

__all__ = ["describe"]

_PATIENCE = 60.0
"""How long the first handle of a run may take to open, in seconds."""


def describe(harness: Harness, profile: Profile, seed: int, *, items: int, left_out: int) -> Header:
    """Return the header of a run, for which a store is opened and destroyed.

    Raises:
        HarnessError: That did not work, so there is nothing to run on.
    """
    found = asyncio.run(_capabilities(harness))
    servers = sorted({each.server_version for each in found.values() if each.server_version})
    return Header(
        suite=version("omniq-conformance"),
        profile=profile.name,
        seed=seed,
        started=now(),
        python=platform.python_version(),
        system=f"{platform.system()} {platform.release()} {platform.machine()}",
        backend=harness.backend,
        distribution=_distribution(harness.backend),
        server=", ".join(servers),
        items=items,
        left_out=left_out,
        capabilities={role: jsonable(attrs.asdict(each)) for role, each in found.items()},
        known_issues=tuple(
            {"id": issue.id, "url": issue.url, "reason": issue.reason, "expires": issue.expires.isoformat()}
            for issue in harness.known_issues
        ),
    )


async def _capabilities(harness: Harness) -> dict[str, Capabilities]:
    namespace = f"conformance-{os.getpid()}-header"
    try:
        async with asyncio.timeout(_PATIENCE):
            stores = checked(await harness.open(namespace))
    except HarnessError:
        raise
    except Exception as error:
        reason = (
            f"did not return within {_PATIENCE:.0f} s" if isinstance(error, TimeoutError) else f"raised {named(error)}"
        )
        place = "no url" if harness.url is None else f"the url {harness.url!r}"
        msg = (
            f"open() of {type(harness).__name__} {reason} (with {place}). Nothing was run. "
            "Look whether the url is right, the server is up and the store may be written."
        )
        raise HarnessError(msg) from error
    try:
        return {
            attribute: storage.capabilities
            for attribute in ATTRIBUTES.values()
            if (storage := getattr(stores, attribute)) is not None
        }
    finally:
        await stores.close()
        await _destroy(harness, namespace)


async def _destroy(harness: Harness, namespace: str) -> None:
    try:
        await harness.destroy(namespace)
    except Exception as error:
        msg = (
            f"destroy() of {type(harness).__name__} raised {named(error)}. Nothing was run. It has to remove a "
            "namespace whose handles are closed, with all that is in it."
        )
        raise HarnessError(msg) from error


def _distribution(backend: str) -> str:
    for listing in list_backends():
        if listing.name == backend and listing.distribution:
            return f"{listing.distribution} {listing.version}"
    try:
        return f"{backend} {version(backend)}"
    except PackageNotFoundError:
        return backend
