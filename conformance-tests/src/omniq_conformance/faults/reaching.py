"""What of a backend can be disturbed: its roles, its connection through a proxy, its server under control."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from omniq.models.config import Role
from omniq.models.redaction import redact_text
from omniq.storage.capabilities import Scope
from omniq_conformance.faults.addresses import address_of, parts_of
from omniq_conformance.outcomes import UnsupportedError, UnverifiedError
from omniq_conformance.roles import absence
from omniq_conformance.space import Mode, Space

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from omniq_conformance.faults.proxy import Proxy
    from omniq_conformance.registry import Trial
    from omniq_conformance.servers import Server
    from omniq_conformance.space import Stores

__all__ = ["handle_through", "reached", "server_of", "without"]


def without(trial: Trial, stores: Stores) -> frozenset[Role]:
    """Return the roles beside the queue that are not there, and note them: a scenario leaves them out.

    Raises:
        UnsupportedError: The mode has a queue that fires schedules in one step, and this one has not joined them.
        UnverifiedError: The backend offers one of them, or nobody knows whether it does.
        DivergenceError: One is not refused as it has to be.
    """
    for role in sorted(stores.absent):
        why = absence(role, trial.harness)
        if not isinstance(why, UnsupportedError):
            raise why
    if stores.absent:
        trial.evidence["without"] = ", ".join(sorted(stores.absent))
    if trial.mode is Mode.JOINED and Role.SCHEDULE_STORAGE not in stores.absent:
        stores.require_joined(Role.SCHEDULE_STORAGE)
    return stores.absent


async def reached(trial: Trial) -> str:
    """Return the url of the backend's server.

    Raises:
        UnsupportedError: It has none: no kind of server is named, and its stores are open to one process or host only.
        UnverifiedError: It has one, but the harness does not say where.
    """
    harness = trial.harness
    if harness.server_kind is None:
        async with trial.space(joined=False) as space:
            (scope, *_) = {storage.capabilities.scope for storage in (await space.open()).opened}
        if scope is not Scope.CLUSTER:
            msg = f"It has no connection to cut: its harness names no server, and its scope is {scope!r}."
            raise UnsupportedError(msg)
    if harness.url is None:
        msg = "The harness has no url. Pass the one of a server, or name a server_kind that the suite can start."
        raise UnverifiedError(msg)
    for url in parts_of(harness.url):
        address_of(url)
    return harness.url


async def server_of(trial: Trial) -> Server:
    """Return the backend's server, to be killed and paused.

    Raises:
        UnsupportedError: As of `reached`.
        UnverifiedError: It is not the suite's own.
    """
    url = await reached(trial)
    if trial.harness.server is None:
        where = redact_text(url)
        msg = f"The server at {where} is not the suite's own. Without a url the suite starts one, which it may kill."
        raise UnverifiedError(msg)
    trial.harness.server.resume()  # does nothing to one that runs; one that somebody else runs refuses
    return trial.harness.server


@contextlib.asynccontextmanager
async def handle_through(proxy: Proxy, space: Space) -> AsyncIterator[Stores]:
    """Open a handle on a namespace through a proxy, and close it."""
    through = Space(space.harness.at(proxy.url), space.mode, space.name)
    try:
        yield await through.open()
    finally:
        await through.close()
