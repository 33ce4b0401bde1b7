"""What an author of a backend writes: how a fresh store is opened and destroyed."""

from __future__ import annotations

import copy
import os
import shutil
import tempfile
from abc import ABC, abstractmethod
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

import attrs

from omniq.models.config import Role
from omniq.storage.events import EventStorage
from omniq.storage.results import ResultStorage
from omniq.storage.schedules import ScheduleStorage
from omniq.storage.task_queue import TaskQueue
from omniq_conformance.outcomes import UnverifiedError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from contextlib import AbstractAsyncContextManager
    from types import TracebackType

    from omniq.storage.backend import BackendConfig
    from omniq.storage.role import Storage
    from omniq_conformance.known import KnownIssue
    from omniq_conformance.servers import Server

__all__ = ["ATTRIBUTES", "Harness", "OpenedStores", "open_plugin"]

ATTRIBUTES: Mapping[Role, str] = {
    Role.TASK_QUEUE: "task_queue",
    Role.RESULT_STORAGE: "results",
    Role.EVENT_STORAGE: "events",
    Role.SCHEDULE_STORAGE: "schedules",
}


_MEMORY, _ROOM = "/dev/shm", 1 << 30  # noqa: S108 - the folders in it are named after the namespaces


def _scratch() -> str:
    """Return where files are made, thousands of times: in memory, where the system has a place with room for that."""
    roomy = os.access(_MEMORY, os.W_OK) and shutil.disk_usage(_MEMORY).free >= _ROOM
    return _MEMORY if roomy else tempfile.gettempdir()


_SCRATCH = _scratch()  # at once: Python looks for such a place by writing, and the suite lets writes fail


@attrs.frozen(kw_only=True)
class OpenedStores:
    """The opened roles of one handle on a namespace; None is a role that the backend does not offer."""

    task_queue: TaskQueue | None = None
    results: ResultStorage | None = None
    events: EventStorage | None = None
    schedules: ScheduleStorage | None = None

    def __iter__(self) -> Iterator[Storage]:
        found = (self.task_queue, self.results, self.events, self.schedules)
        return (storage for storage in found if storage is not None)

    def role(self, role: Role) -> Storage | None:
        """Return the storage of a role, None if it is not offered."""
        storage: Storage | None = getattr(self, ATTRIBUTES[role])
        return storage

    async def close(self) -> None:
        """Close every role."""
        for storage in self:
            await storage.close()


class Harness(ABC):
    """Gives the suite stores to test.

    A namespace is a store of its own: nothing that happens in one is seen in another. The suite opens thousands of
    them, several handles on each, and handles from other threads and processes if the backend's scope allows it; for
    processes, the class has to be importable from its file and the instance has to be picklable, apart from `server`.

    A run is inside `with harness:`, which starts a server of the kind `server_kind` if no url was given.

    Attributes:
        backend: The name of the backend's entry point.
        server_kind: Which server `omniq_conformance.servers` starts for a run without a url; None for an embedded
            backend.
        server_options: Settings of that server, by their names in its configuration.
        known_issues: The cases that are known to fail.
        golden: The folder with stores that older versions wrote, as docs/how-to/keep-golden-stores.md describes; None
            if there is none yet.
        url: Where the store is, if it is not the harness's own; for a server, where it listens.
        server: The server that a run may kill, restart and pause; None if there is none that the suite started.
    """

    backend: str
    server_kind: ClassVar[str | None] = None
    server_options: ClassVar[Mapping[str, Any]] = {}
    known_issues: ClassVar[Sequence[KnownIssue]] = ()
    golden: ClassVar[Path | None] = None

    def __init__(self, url: str | None = None) -> None:
        self.url = url
        self.server: Server | None = None

    @abstractmethod
    async def open(self, namespace: str) -> OpenedStores:
        """Return a new handle on the namespace, which is made if it does not exist; its roles are open."""

    @abstractmethod
    async def destroy(self, namespace: str) -> None:
        """Remove the namespace with all that is in it; every handle was closed."""

    def folder(self, namespace: str) -> Path:
        """Return the folder for the files of a namespace: inside `url`, or else where the system has a quick place."""
        return Path(self.url or _SCRATCH) / namespace

    async def snapshot(self, namespace: str) -> Mapping[str, Sequence[str]] | None:
        """Return the ids that are stored, read past the backend; None if the author offers no such view.

        The keys are `tasks`, `results`, `schedules` (ids) and `events` (`task_id/version`). Whatever else the backend
        stores for them, such as an outbox, goes under keys of its own.
        """
        del namespace
        return None

    def keeper(self, role: Role) -> Harness:
        """Return the harness of the backend that keeps a role: this one, unless it is made of several."""
        del role
        return self

    async def save(self, namespace: str, folder: Path) -> None:
        """Write what is stored in the namespace, as raw as can be, into an empty folder; every handle was closed.

        Raises:
            UnverifiedError: The author offers no such way.
        """
        raise UnverifiedError(_missing("save", f"write the namespace {namespace!r} to {folder}"))

    async def restore(self, namespace: str, folder: Path) -> None:
        """Make a namespace of what `save` wrote, maybe years ago.

        Raises:
            UnverifiedError: The author offers no such way.
        """
        raise UnverifiedError(_missing("restore", f"fill the namespace {namespace!r} from {folder}"))

    async def make_newer(self, namespace: str) -> None:
        """Mark the stored namespace as one that only a future version can work with; every handle was closed.

        Raises:
            UnverifiedError: The author offers no such way.
        """
        raise UnverifiedError(_missing("make_newer", f"give the namespace {namespace!r} a newer format"))

    def transaction(self, namespace: str) -> AbstractAsyncContextManager[object]:
        """Begin a transaction of somebody else, whose connection the block gets for `enqueue_within`.

        It is committed when the block ends, and rolled back if an exception leaves it.

        Raises:
            UnverifiedError: The author offers no such way.
        """
        raise UnverifiedError(_missing("transaction", f"enqueue in a transaction beside the namespace {namespace!r}"))

    def at(self, url: str) -> Self:
        """Return a harness whose stores are reached through another url, such as that of a proxy."""
        other = copy.copy(self)
        other.url = url
        return other

    def __enter__(self) -> Self:
        if self.server_kind is not None and self.url is None:
            from omniq_conformance import servers

            self.server = servers.start(self.server_kind, **self.server_options)
            self.url = self.server.url
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self.server is not None:
            self.server.stop()
            self.server, self.url = None, None

    def __getstate__(self) -> dict[str, Any]:
        # The server is a child of this process: another one uses it by its url.
        return {**vars(self), "server": None}


def _missing(method: str, what: str) -> str:
    return f"The harness has no {method}(), so nothing here can {what}. Write that method of the harness."


async def open_plugin(plugin: object, config: BackendConfig) -> OpenedStores:
    """Make and open every role that a backend's plugin module offers; what most harnesses need.

    Args:
        plugin: The module with the creation hooks.
        config: Which store; a new object for every handle.
    """
    opened: dict[str, Storage] = {}
    try:
        for role, attribute in ATTRIBUTES.items():
            create = getattr(plugin, f"omniq_create_{role.key}", None)
            if create is not None:
                storage: Storage = create(config)
                await storage.open()
                opened[attribute] = storage
    except BaseException:
        await OpenedStores(**opened).close()  # type: ignore[arg-type] # each hook makes its own role
        raise
    return OpenedStores(**opened)  # type: ignore[arg-type] # as above
