"""Namespaces for cases: opened as often as a case likes, always closed and destroyed."""

from __future__ import annotations

import itertools
import os
from enum import StrEnum
from typing import TYPE_CHECKING, Self

import attrs

from omniq.errors import CapabilityError
from omniq.models.config import Role
from omniq.storage.schedules import Advance
from omniq_conformance.harness import Harness, OpenedStores
from omniq_conformance.outcomes import DivergenceError, HarnessError, UnsupportedError, UnverifiedError, named
from omniq_conformance.roles import absence

if TYPE_CHECKING:
    from types import TracebackType

    from omniq.storage.events import EventStorage
    from omniq.storage.results import ResultStorage
    from omniq.storage.role import Storage
    from omniq.storage.schedules import ScheduleStorage
    from omniq.storage.task_queue import TaskQueue

__all__ = ["Mode", "Space", "Stores", "checked"]

_numbers = itertools.count(1)


class Mode(StrEnum):
    """Which of the roles that share the queue's transaction domain it serves."""

    SEPARATE = "separate"
    """No role is joined: the outbox has an entry for every transition."""
    JOINED = "joined"
    """Results, events and schedules are joined: the outbox stays empty."""
    RESULTS_JOINED = "results-joined"
    """Results only: the outbox has an entry for every transition, which the events need."""
    EVENTS_JOINED = "events-joined"
    """Events only: the outbox has an entry for every end, which the results need."""

    @property
    def joined(self) -> frozenset[Role]:
        """The roles that are joined."""
        return _JOINED[self]


_JOINED = {
    Mode.SEPARATE: frozenset[Role](),
    Mode.JOINED: frozenset({Role.RESULT_STORAGE, Role.EVENT_STORAGE, Role.SCHEDULE_STORAGE}),
    Mode.RESULTS_JOINED: frozenset({Role.RESULT_STORAGE}),
    Mode.EVENTS_JOINED: frozenset({Role.EVENT_STORAGE}),
}


@attrs.frozen
class Stores:
    """One handle, with all roles there.

    Asking for a role that the backend does not offer ends the case as unsupported; for one that it offers and the
    harness does not open, or where nothing tells, as unverified.
    """

    opened: OpenedStores
    harness: Harness | None = None
    joined: frozenset[Role] = frozenset()

    @property
    def task_queue(self) -> TaskQueue:
        """The task queue."""
        if self.opened.task_queue is None:
            raise absence(Role.TASK_QUEUE, self.harness)
        return self.opened.task_queue

    @property
    def results(self) -> ResultStorage:
        """The result storage."""
        if self.opened.results is None:
            raise absence(Role.RESULT_STORAGE, self.harness)
        return self.opened.results

    @property
    def events(self) -> EventStorage:
        """The event storage."""
        if self.opened.events is None:
            raise absence(Role.EVENT_STORAGE, self.harness)
        return self.opened.events

    @property
    def schedules(self) -> ScheduleStorage:
        """The schedule storage."""
        if self.opened.schedules is None:
            raise absence(Role.SCHEDULE_STORAGE, self.harness)
        return self.opened.schedules

    @property
    def absent(self) -> frozenset[Role]:
        """The roles that were not opened."""
        return frozenset(role for role in Role if self.opened.role(role) is None)

    def role(self, role: Role) -> Storage:
        """Return the storage of a role."""
        storage = self.opened.role(role)
        if storage is None:
            raise absence(role, self.harness)
        return storage

    def require_joined(self, role: Role) -> None:
        """Refuse to go on unless the queue has joined a role.

        Raises:
            UnsupportedError: It has not.
        """
        if role not in self.joined:
            self.role(role)  # says so if it is not offered at all
            msg = f"The queue and the {role} do not share a transaction domain: the queue joined {_names(self.joined)}."
            raise UnsupportedError(msg)

    async def close(self) -> None:
        """Close every role."""
        await self.opened.close()


class Space:
    """A fresh namespace: an async context manager that leaves nothing behind.

    Attributes:
        harness: Where handles come from.
        name: The namespace.
        mode: How handles are opened.
    """

    def __init__(self, harness: Harness, mode: Mode = Mode.SEPARATE, name: str | None = None) -> None:
        self.harness = harness
        self.mode = mode
        self.name = name or f"conformance-{os.getpid()}-{next(_numbers)}"
        self._handles: list[Stores] = []

    async def open(self) -> Stores:
        """Return a new handle, joined if the mode says so."""
        stores = Stores(checked(await self.harness.open(self.name)), self.harness)
        self._handles.append(stores)
        if self.mode is Mode.SEPARATE:
            return stores
        return attrs.evolve(stores, joined=await _join(stores, self.mode))

    async def close(self) -> None:
        """Close every handle that was opened."""
        while self._handles:
            await self._handles.pop().close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()
        try:
            await self.harness.destroy(self.name)
        except Exception as error:
            if exc is not None and not isinstance(exc, (UnsupportedError, UnverifiedError)):
                exc.add_note(f"Afterwards destroy() of {type(self.harness).__name__} raised {named(error)}")
                return
            if isinstance(error, (DivergenceError, UnverifiedError)):
                raise  # of a harness that looks at what is left before it removes it
            msg = f"destroy() of {type(self.harness).__name__} raised {named(error)}"
            raise HarnessError(msg) from error


def checked(opened: object) -> OpenedStores:
    """Return what a harness opened.

    Raises:
        HarnessError: It is something else than stores.
    """
    if isinstance(opened, OpenedStores):
        return opened
    msg = f"open() of the harness returned {opened!r}. It has to return an OpenedStores, as open_plugin() makes it."
    raise HarnessError(msg)


async def _join(stores: Stores, mode: Mode) -> frozenset[Role]:
    """Let the queue join the roles of the mode that share its transaction domain, and return them.

    Schedules are joined if they can be; results and events have to be.

    Raises:
        UnsupportedError: They do not share it, or the queue does not serve them.
    """
    queue = stores.task_queue
    domain = queue.capabilities.transaction_domain
    needed = mode.joined - {Role.SCHEDULE_STORAGE}
    found = {role: stores.role(role) for role in sorted(needed)} | {
        role: storage for role in mode.joined - needed if (storage := stores.opened.role(role)) is not None
    }
    wanted = frozenset(
        role for role, storage in found.items() if domain and storage.capabilities.transaction_domain == domain
    )
    joined = queue.join(wanted)
    if not joined <= wanted:
        msg = f"The queue was asked to join {_names(wanted)}, and joined {_names(joined)}."
        raise DivergenceError(msg)
    if Role.SCHEDULE_STORAGE not in joined:
        await _check_refusal(queue)
    if needed <= joined:
        return joined
    msg = (
        f"The queue's transaction domain {domain!r} does not have {_names(needed - joined)}: "
        f"it joined {_names(joined)}."
    )
    raise UnsupportedError(msg)


async def _check_refusal(queue: TaskQueue) -> None:
    """Check that a queue that has not joined the schedules fires none."""
    try:
        await queue.fire([], Advance(id="s", expected_version=0, next_run=None))
    except CapabilityError:
        return
    msg = "The queue has not joined the schedule storage, and does not refuse `fire` with CapabilityError."
    raise DivergenceError(msg)


def _names(roles: frozenset[Role]) -> str:
    return ", ".join(sorted(roles)) or "nothing"
