"""The asynchronous facade."""

from __future__ import annotations

import functools
import inspect
from typing import TYPE_CHECKING, Any, ParamSpec, Protocol, Self, TypeVar, Unpack, overload

from omniq.app.access import StoreAccess
from omniq.app.configuration import to_config
from omniq.app.registering import default_options, make_registry, register
from omniq.app.workers import worker_options
from omniq.queue.controller import Controller
from omniq.queue.inspector import Inspector
from omniq.queue.producer import Producer
from omniq.queue.schedules import ScheduleClient
from omniq.queue.task import AsyncCoroutineTask, AsyncFunctionTask
from omniq.serialization import SerializerRegistry

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Mapping, Sequence
    from types import TracebackType

    from omniq.app.configuration import Configurator, GivenSettings
    from omniq.models.config import OmniQConfig
    from omniq.queue.connection import Connection
    from omniq.queue.job import JobClient
    from omniq.queue.options import Duration, TaskArguments
    from omniq.retry import RetryPolicy
    from omniq.storage.factory import Stores
    from omniq.worker.worker import Worker

__all__ = ["AsyncOmniQ", "AsyncTaskDecorator"]

P = ParamSpec("P")
R = TypeVar("R")


class AsyncTaskDecorator(Protocol):
    """What `app.task(...)` returns."""

    @overload  # the first that fits is meant
    def __call__(  # type: ignore[overload-overlap]
        self, func: Callable[P, Coroutine[Any, Any, R]], /
    ) -> AsyncCoroutineTask[P, R]: ...
    @overload
    def __call__(self, func: Callable[P, R], /) -> AsyncFunctionTask[P, R]: ...


class AsyncOmniQ(Producer, Inspector, Controller, ScheduleClient):
    """A task queue application for asynchronous programs.

    It connects at its first use, once for each event loop, and closes with `async with`, with `close()`, or when
    `asyncio.run` ends. It may be made anywhere, also before there is an event loop.

    Args:
        settings: `Settings`, or where the store is (`tasks.db`, `redis://localhost`, `memory://`). Without any
            argument the environment decides.
        config: A configuration with a backend for each role.
        backend: One backend for everything, such as `SQLiteBackend()`.

    Attributes:
        config: The effective configuration.
        registry: The registered tasks.
        serializers: The serializers by name.
        defaults: What tasks are enqueued with that say nothing themselves.

    Raises:
        ConfigError: The configuration or an environment variable is invalid; the message lists all faults.
    """

    def __init__(
        self,
        settings: GivenSettings | None = None,
        *,
        config: OmniQConfig | None = None,
        backend: Configurator | None = None,
    ) -> None:
        self.config = to_config(settings, config, backend)
        self.registry = make_registry(self.config)
        self.serializers = SerializerRegistry(signing_key=self.config.signing_key)
        self.defaults = default_options(self.config)
        self._access = StoreAccess(self.config, self)

    @classmethod
    def from_env(cls, environ: Mapping[str, str] | None = None) -> Self:
        """Make an application from the OMNIQ_* variables.

        Args:
            environ: Instead of `os.environ`.
        """
        from omniq.models.config import OmniQConfig

        return cls(config=OmniQConfig.from_env(environ))

    @overload  # the first that fits is meant
    def task(  # type: ignore[overload-overlap]
        self, func: Callable[P, Coroutine[Any, Any, R]], /
    ) -> AsyncCoroutineTask[P, R]: ...
    @overload
    def task(self, func: Callable[P, R], /) -> AsyncFunctionTask[P, R]: ...
    @overload
    def task(
        self,
        func: None = None,
        /,
        *,
        name: str | None = None,
        retry: RetryPolicy | None = None,
        run_in: str = "auto",
        **options: Unpack[TaskArguments],
    ) -> AsyncTaskDecorator: ...

    def task(
        self,
        func: Callable[..., Any] | None = None,
        /,
        *,
        name: str | None = None,
        retry: RetryPolicy | None = None,
        run_in: str = "auto",
        **options: Unpack[TaskArguments],
    ) -> Any:
        """Register a function as a task: `@app.task`, or `@app.task(queue="mail", max_retries=5)`.

        Args:
            func: A function or coroutine function at the top level of a module.
            name: The name under which workers find it; the default is `module.function`.
            retry: Which failures are tried again, and when.
            run_in: Where workers run it: `loop`, `thread` or `process`; `auto` is the loop for coroutine functions
                and a thread for others.
            **options: What its calls are enqueued with; those of `enqueue` without `task_id`.

        Returns:
            The task, which still can be called as the function, and whose `enqueue` has workers run it.

        Raises:
            ConfigError: An option is invalid, the name is taken, or workers could not find the function.
        """
        if func is None:
            return functools.partial(self.task, name=name, retry=retry, run_in=run_in, **options)
        definition = register(self, func, name=name, retry=retry, run_in=run_in, options=options)
        kind = AsyncCoroutineTask if inspect.iscoroutinefunction(definition.func) else AsyncFunctionTask
        return kind(definition, self)

    def worker(
        self,
        *,
        queues: str | Sequence[str] | None = None,
        concurrency: int | None = None,
        processes: int | None = None,
        burst: bool = False,
        lease: Duration | None = None,
        heartbeat: Duration | None = None,
        shutdown_timeout: Duration | None = None,
        kill_grace: Duration | None = None,
        max_tasks: int | None = None,
        scheduler: bool = True,
        sweep: bool = True,
        name: str | None = None,
    ) -> Worker:
        """Return a worker: `await app.worker().run()`, or `async with app.worker():` in the background.

        Args:
            queues: Which queues; the default is the configuration's `default_queue`.
            concurrency: How many tasks run at once; 100 if None.
            processes: How many child processes run tasks with `run_in="process"`; one a CPU if None.
            burst: Return when nothing is ready or running any more.
            lease: After so long without a sign of life, other workers take over; 30 s if None.
            heartbeat: How often leases are renewed; a third of the lease, at most 5 s, if None.
            shutdown_timeout: How long tasks may go on when the worker is stopped; 30 s if None.
            kill_grace: How long a task that cannot be stopped may go on; 10 s if None.
            max_tasks: Return after so many tasks, to be started afresh; None is without limit.
            scheduler: Whether it also fires schedules.
            sweep: Whether it also removes what is older than its retention.
            name: What it is called in records and events.
        """
        from omniq.worker.worker import Worker

        options = worker_options(
            queues=self.config.default_queue if queues is None else queues,
            concurrency=concurrency,
            processes=processes,
            burst=burst,
            lease=lease,
            heartbeat=heartbeat,
            shutdown_timeout=shutdown_timeout,
            kill_grace=kill_grace,
            max_tasks=max_tasks,
            scheduler=scheduler,
            sweep=sweep,
            name=name,
        )
        return Worker(
            stores=self.connect,
            registry=self.registry,
            config=self.config,
            serializers=self.serializers,
            options=options,
            hooks=self._access.plugins,
        )

    async def connect(self) -> Stores:
        """Open the stores in the running event loop, unless they are open; return them.

        Raises:
            ConfigError: Something in the configuration is invalid, or a backend is unknown.
            PluginError: A backend cannot be used.
            StorageError: A store cannot be reached, or has a format that is not understood.
        """
        return (await self._connection()).stores

    async def close(self) -> None:
        """Write what is being enqueued and close the stores of the running event loop.

        It may be used again afterwards; then it connects again.
        """
        await self._access.lifespans.end()

    @property
    def stores(self) -> Stores:
        """The stores that are open.

        Raises:
            StoreClosedError: None are.
        """
        return self._access.lifespans.latest().stores

    async def __aenter__(self) -> Self:
        await self.connect()
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.config.project_name}: {len(self.registry)} tasks>"

    def _reconfigure(self, config: OmniQConfig) -> Callable[[], None]:
        """Use other stores from now on; return what puts the former ones back. For `omniq.testing`."""
        former = self._access
        self._use(StoreAccess(config.with_environment(), self))
        return functools.partial(self._use, former)

    def _use(self, access: StoreAccess) -> None:
        self._access = access
        self.config = access.config

    async def _connection(self) -> Connection:
        return await self._access.lifespans.get()

    @property
    def _jobs(self) -> JobClient:
        return self
