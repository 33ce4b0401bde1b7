"""Namespaces for cases: opened as often as a case likes, always closed and destroyed."""

from __future__ import annotations

import itertools
import os
from enum import StrEnum
from typing import TYPE_CHECKING, Self, TypeVar

import attrs

from omniq.models.config import Role
from omniq_conformance.harness import OpenedStores
from omniq_conformance.outcomes import UnsupportedError, UnverifiedError

if TYPE_CHECKING:
    from types import TracebackType

    from omniq.storage.events import EventStorage
    from omniq.storage.results import ResultStorage
    from omniq.storage.schedules import ScheduleStorage
    from omniq.storage.task_queue import TaskQueue
    from omniq_conformance.harness import Harness

__all__ = ["Mode", "Space", "Stores"]

_JOINABLE = (Role.RESULT_STORAGE, Role.EVENT_STORAGE, Role.SCHEDULE_STORAGE)
_numbers = itertools.count(1)

T = TypeVar("T")


class Mode(StrEnum):
    """Whether the queue serves the roles that share its transaction domain."""

    SEPARATE = "separate"
    """No role is joined: the outbox has an entry for every transition."""
    JOINED = "joined"
    """Results, events and schedules are joined: the outbox stays empty."""


@attrs.frozen
class Stores:
    """One handle, with all roles there.

    Asking for a role that the harness does not open ends the case as unverified.
    """

    opened: OpenedStores

    @property
    def task_queue(self) -> TaskQueue:
        """The task queue."""
        return _present(self.opened.task_queue, "task queue")

    @property
    def results(self) -> ResultStorage:
        """The result storage."""
        return _present(self.opened.results, "result storage")

    @property
    def events(self) -> EventStorage:
        """The event storage."""
        return _present(self.opened.events, "event storage")

    @property
    def schedules(self) -> ScheduleStorage:
        """The schedule storage."""
        return _present(self.opened.schedules, "schedule storage")

    async def close(self) -> None:
        """Close every role."""
        await self.opened.close()


def _present(storage: T | None, role: str) -> T:
    if storage is None:
        msg = f"The harness opens no {role}. Open it in Harness.open() if the backend offers the role."
        raise UnverifiedError(msg)
    return storage


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
        stores = Stores(await self.harness.open(self.name))
        self._handles.append(stores)
        if self.mode is Mode.JOINED:
            _join(stores)
        return stores

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
        await self.harness.destroy(self.name)


def _join(stores: Stores) -> None:
    """Let the queue join every role that shares its transaction domain.

    Raises:
        UnsupportedError: Results and events do not share it.
    """
    domain = stores.task_queue.capabilities.transaction_domain
    found = {role: stores.opened.role(role) for role in _JOINABLE}
    wanted = {role for role, s in found.items() if s and domain and s.capabilities.transaction_domain == domain}
    joined = stores.task_queue.join(frozenset(wanted)) if wanted else frozenset()
    if not {Role.RESULT_STORAGE, Role.EVENT_STORAGE} <= joined:
        names = ", ".join(sorted(joined)) or "nothing"
        msg = f"The queue's transaction domain {domain!r} does not have both results and events: it joined {names}."
        raise UnsupportedError(msg)
