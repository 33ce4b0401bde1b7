"""Registered tasks as their callers hold them.

`P` and `R` are the parameters of the function and what it returns (for a coroutine function: once awaited).
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Generic, ParamSpec, Protocol, Self, TypeAlias, TypeVar

import attrs

from omniq.queue.options import TaskOptions, parse_options

if TYPE_CHECKING:
    from typing import Unpack

    from omniq.queue.job import Job, SyncJob
    from omniq.queue.options import CallArguments
    from omniq.queue.registry import TaskDefinition

__all__ = [
    "AsyncCoroutineTask",
    "AsyncFunctionTask",
    "AsyncTaskHandle",
    "ManyArguments",
    "SyncCoroutineTask",
    "SyncFunctionTask",
    "SyncTaskHandle",
    "TaskCall",
    "TaskHandle",
]

P = ParamSpec("P")
R = TypeVar("R")


@attrs.frozen
class TaskCall(Generic[R]):
    """One call that is ready to be enqueued, made with `task.call(...)`.

    Attributes:
        name: The name of the task.
        options: What it is enqueued with.
        args: Positional arguments.
        kwargs: Keyword arguments.
    """

    name: str
    options: TaskOptions
    args: Sequence[Any]
    kwargs: Mapping[str, Any]


ManyArguments: TypeAlias = "Iterable[tuple[Any, ...] | list[Any] | Mapping[str, Any]]"
"""Calls of one task: positional arguments as tuples or lists, or keyword arguments as mappings."""


class Producing(Protocol):
    """What the handle asks of an `AsyncOmniQ`."""

    async def enqueue(self, func: TaskCall[R], /) -> Job[R]:
        """Enqueue one call."""
        ...

    async def enqueue_many(self, func: TaskHandle[..., R], calls: ManyArguments, /) -> list[Job[R]]:
        """Enqueue calls of one task."""
        ...


class SyncProducing(Protocol):
    """What the handle asks of an `OmniQ`."""

    def enqueue(self, func: TaskCall[R], /) -> SyncJob[R]:
        """Enqueue one call."""
        ...

    def enqueue_many(self, func: TaskHandle[..., R], calls: ManyArguments, /) -> list[SyncJob[R]]:
        """Enqueue calls of one task."""
        ...


class TaskHandle(Generic[P, R]):
    """A function that was registered as a task.

    Calling it runs the function here and now, in this process. `enqueue` has a worker run it.

    Attributes:
        definition: Its name, options and policies.
        __wrapped__: The function itself.
    """

    definition: TaskDefinition[P, R]
    __wrapped__: Callable[P, Any]

    def __init__(self, definition: TaskDefinition[P, R]) -> None:
        functools.update_wrapper(self, definition.func)
        self.definition = definition

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> Any:
        """Run the function here, as if it were not a task."""
        return self.definition.func(*args, **kwargs)

    @property
    def name(self) -> str:
        """The name under which workers find it."""
        return self.definition.name

    def call(self, *args: P.args, **kwargs: P.kwargs) -> TaskCall[R]:
        """Return a call to give to `app.enqueue` or, together with calls of other tasks, to `app.enqueue_many`."""
        return TaskCall(self.definition.name, self.definition.options, args, kwargs)

    def options(self, **options: Unpack[CallArguments]) -> Self:
        """Return the same task with other options, which say how it is enqueued: `task.options(delay=5).enqueue(1)`.

        Raises:
            ConfigError: Some are invalid; the message lists all of them.
        """
        other = object.__new__(type(self))
        other.__dict__.update(self.__dict__)
        merged = self.definition.options.merged(parse_options(**options))
        other.definition = attrs.evolve(self.definition, options=merged)
        return other

    def __repr__(self) -> str:
        return f"<task {self.definition.name}>"


class AsyncTaskHandle(TaskHandle[P, R]):
    """A task of an `AsyncOmniQ`."""

    def __init__(self, definition: TaskDefinition[P, R], app: Producing) -> None:
        super().__init__(definition)
        self._app = app

    async def enqueue(self, *args: P.args, **kwargs: P.kwargs) -> Job[R]:
        """Have a worker run the function with these arguments.

        Raises:
            SerializationError: An argument cannot be encoded.
            ConfigError: The task's options are invalid together.
            StorageError: The store failed; for a lost connection only after trying for a while.
        """
        return await self._app.enqueue(self.call(*args, **kwargs))

    async def enqueue_many(self, calls: ManyArguments) -> list[Job[R]]:
        """Have workers run the function once for each item; see `AsyncOmniQ.enqueue_many`."""
        return await self._app.enqueue_many(self, calls)


class AsyncFunctionTask(AsyncTaskHandle[P, R]):
    """A plain function as a task of an `AsyncOmniQ`."""

    if TYPE_CHECKING:

        def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
            """Run the function here."""
            ...


class AsyncCoroutineTask(AsyncTaskHandle[P, R]):
    """A coroutine function as a task of an `AsyncOmniQ`."""

    if TYPE_CHECKING:

        def __call__(self, *args: P.args, **kwargs: P.kwargs) -> Coroutine[Any, Any, R]:
            """Run the function here."""
            ...


class SyncTaskHandle(TaskHandle[P, R]):
    """A task of an `OmniQ`."""

    def __init__(self, definition: TaskDefinition[P, R], app: SyncProducing) -> None:
        super().__init__(definition)
        self._app = app

    def enqueue(self, *args: P.args, **kwargs: P.kwargs) -> SyncJob[R]:
        """Have a worker run the function with these arguments.

        Raises:
            SerializationError: An argument cannot be encoded.
            ConfigError: The task's options are invalid together.
            StorageError: The store failed; for a lost connection only after trying for a while.
        """
        return self._app.enqueue(self.call(*args, **kwargs))

    def enqueue_many(self, calls: ManyArguments) -> list[SyncJob[R]]:
        """Have workers run the function once for each item; see `OmniQ.enqueue_many`."""
        return self._app.enqueue_many(self, calls)


class SyncFunctionTask(SyncTaskHandle[P, R]):
    """A plain function as a task of an `OmniQ`."""

    if TYPE_CHECKING:

        def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
            """Run the function here."""
            ...


class SyncCoroutineTask(SyncTaskHandle[P, R]):
    """A coroutine function as a task of an `OmniQ`."""

    if TYPE_CHECKING:

        def __call__(self, *args: P.args, **kwargs: P.kwargs) -> Coroutine[Any, Any, R]:
            """Run the function here."""
            ...
