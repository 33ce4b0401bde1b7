"""What a producer has open in one event loop."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any

from omniq.errors import ConfigError, LimitExceededError
from omniq.models.record import Enqueued
from omniq.models.task import Task
from omniq.queue.batching import Coalescer
from omniq.queue.ids import IdMaker
from omniq.queue.patience import persist
from omniq.queue.waiting import DoneWaiter
from omniq.storage.limits import check_specs

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence
    from typing import TypeAlias

    from omniq.models.config import OmniQConfig
    from omniq.models.record import TaskRecord, TaskSpec
    from omniq.models.result import ResultRecord
    from omniq.queue.job import JobClient
    from omniq.queue.options import TaskOptions
    from omniq.queue.registry import TaskRegistry
    from omniq.serialization import Serializer, SerializerRegistry
    from omniq.storage.factory import Stores

    Found: TypeAlias = tuple[TaskRecord | None, ResultRecord | None]

__all__ = ["Client", "Connection"]


class Connection:
    """The opened stores, and what coalesces the calls that go to them.

    Args:
        stores: Opened in this event loop; `close` closes them.
        serializers: Decode what comes back.
        serializer: Encodes what is enqueued.
        before_enqueue: Shows a specification to the plugins; None if none of them wants to see it.
    """

    def __init__(
        self,
        stores: Stores,
        *,
        serializers: SerializerRegistry,
        serializer: Serializer,
        before_enqueue: Callable[[TaskSpec], Awaitable[None]] | None = None,
    ) -> None:
        self.stores = stores
        self.queue = stores.task_queue
        self._limits = stores.limits
        self.serializer = serializer
        self.ids = IdMaker()
        self.waiter = DoneWaiter(self.queue)
        self._serializers = serializers
        self._before_enqueue = before_enqueue
        self._writes: Coalescer[TaskSpec, Enqueued] = Coalescer(self.write, apart=(LimitExceededError, ConfigError))
        self._reads: Coalescer[str, Found] = Coalescer(self._find)

    async def prepare(self, specs: Sequence[TaskSpec]) -> None:
        """Show the specifications to the plugins that want to see them; whatever they raise refuses the call."""
        hook = self._before_enqueue
        if hook is None:
            return
        for spec in specs:
            spec.body.headers = dict(spec.body.headers)  # shared with other tasks until now
            await hook(spec)

    async def write(self, specs: Sequence[TaskSpec]) -> list[Enqueued]:
        """Enqueue in one call, again with the same ids if the reply was lost or the store cannot be reached."""
        if self._limits.max_id_bytes < self.queue.capabilities.max_id_bytes:
            check_specs(specs, self._limits)  # the queue itself knows its own alone
        attempts = 0

        def attempt() -> Awaitable[list[Enqueued]]:
            nonlocal attempts
            attempts += 1
            return self.queue.enqueue(specs)

        answers = await persist(attempt)
        return answers if attempts == 1 else list(map(_as_first, specs, answers))

    async def write_one(self, spec: TaskSpec) -> Enqueued:
        """Enqueue together with what others enqueue at the same time."""
        check_specs([spec], self._limits)  # before it shares a batch with the tasks of strangers
        return await self._writes.submit(spec)

    async def write_within(self, transaction: object, specs: Sequence[TaskSpec]) -> list[Enqueued]:
        """Enqueue in the transaction of the caller's connection; only the caller can try again."""
        check_specs(specs, self._limits)
        return await self.queue.enqueue_within(transaction, specs)

    async def find(self, task_id: str) -> Found:
        """Return the record and the stored outcome of a task, read together with what others read at the same time."""
        return await self._reads.submit(task_id)

    async def now_for(self, records: Sequence[TaskRecord]) -> int:
        """Return the store's time for judging these records; it is only asked for tasks that have not ended."""
        if all(record.state.is_terminal for record in records):
            return 0
        return await persist(self.queue.time)

    def decode(self, codec: str, data: bytes) -> Any:
        """Decode bytes by the name of their codec."""
        return self._serializers.get(codec).loads(data)

    def task(self, record: TaskRecord, now: int, result: ResultRecord | None = None) -> Task:
        """Return a record as applications see it; an outcome of another run than its last is left out."""
        if result is not None and result.order != (record.seq, record.epoch):
            result = None
        return Task(record, now=now, decode=self.decode, result=result)

    async def close(self) -> None:
        """Write what is being enqueued, end the waits, and close the stores."""
        try:
            await self._writes.drain()
            await self._reads.drain()
            await self.waiter.close()
        finally:
            await self.stores.close()

    async def _find(self, ids: Sequence[str]) -> list[Found]:
        # The heads first: an outcome that is read later is at least as new as its head.
        records = await persist(lambda: self.queue.get(ids))
        results = await persist(lambda: self.stores.results.get(ids))
        return list(zip(records, results, strict=True))


def _as_first(spec: TaskSpec, answer: Enqueued) -> Enqueued:
    """Return what a repeated attempt would have answered as the first one.

    That the task exists is because of the first, if its id was made here; if the caller chose it, nobody can tell.
    """
    return Enqueued(answer.id, created=True) if answer.id == spec.id and not spec.pinned else answer


class Client(ABC):
    """What the parts of a facade need of it.

    Attributes:
        config: The effective configuration.
        registry: The tasks of the application.
        serializers: By name.
        defaults: What tasks are enqueued with that say nothing themselves.
    """

    config: OmniQConfig
    registry: TaskRegistry
    serializers: SerializerRegistry
    defaults: TaskOptions

    @abstractmethod
    async def _connection(self) -> Connection:
        """Return what is open in the running event loop, opening it first if need be."""

    @property
    @abstractmethod
    def _jobs(self) -> JobClient:
        """What the jobs of this facade ask about themselves."""
