"""The blocking facade."""

from __future__ import annotations

import functools
import inspect
import weakref
from typing import TYPE_CHECKING, Any, ParamSpec, Protocol, Self, TypeVar, Unpack, overload

from omniq.app.async_app import AsyncOmniQ
from omniq.app.portal import Portal
from omniq.app.registering import register
from omniq.app.sync_controller import SyncController
from omniq.app.sync_inspector import SyncInspector
from omniq.app.sync_producer import SyncProducer
from omniq.app.sync_schedules import SyncScheduleClient
from omniq.queue.task import SyncCoroutineTask, SyncFunctionTask

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Mapping, Sequence
    from types import TracebackType

    from omniq.app.configuration import Configurator, GivenSettings
    from omniq.app.sync_worker import SyncWorker
    from omniq.models.config import OmniQConfig
    from omniq.queue.job import SyncJobClient
    from omniq.queue.options import Duration, TaskArguments, TaskOptions
    from omniq.queue.registry import TaskRegistry
    from omniq.retry import RetryPolicy
    from omniq.serialization import SerializerRegistry
    from omniq.storage.factory import Stores

__all__ = ["OmniQ", "SyncTaskDecorator"]

P = ParamSpec("P")
R = TypeVar("R")


class SyncTaskDecorator(Protocol):
    """What `app.task(...)` returns."""

    @overload  # the first that fits is meant
    def __call__(  # type: ignore[overload-overlap]
        self, func: Callable[P, Coroutine[Any, Any, R]], /
    ) -> SyncCoroutineTask[P, R]: ...
    @overload
    def __call__(self, func: Callable[P, R], /) -> SyncFunctionTask[P, R]: ...


class OmniQ(SyncProducer, SyncInspector, SyncController, SyncScheduleClient):
    """A task queue application for programs that block.

    Its methods are those of `AsyncOmniQ`, from any thread. It connects at its first use and closes with `with`, with
    `close()`, or when the program ends. In the child of a fork it connects anew.

    Args:
        settings: `Settings`, or where the store is (`tasks.db`, `redis://localhost`, `memory://`). Without any
            argument the environment decides.
        config: A configuration with a backend for each role.
        backend: One backend for everything, such as `SQLiteBackend()`.

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
        self._app = AsyncOmniQ(settings, config=config, backend=backend)
        self._portal = Portal(self._app.close)
        weakref.finalize(self, self._portal.abandon).atexit = False

    @classmethod
    def from_env(cls, environ: Mapping[str, str] | None = None) -> Self:
        """Make an application from the OMNIQ_* variables.

        Args:
            environ: Instead of `os.environ`.
        """
        from omniq.models.config import OmniQConfig

        return cls(config=OmniQConfig.from_env(environ))

    @property
    def config(self) -> OmniQConfig:
        """The effective configuration."""
        return self._app.config

    @property
    def registry(self) -> TaskRegistry:
        """The registered tasks."""
        return self._app.registry

    @property
    def serializers(self) -> SerializerRegistry:
        """The serializers by name."""
        return self._app.serializers

    @property
    def defaults(self) -> TaskOptions:
        """What tasks are enqueued with that say nothing themselves."""
        return self._app.defaults

    @property
    def stores(self) -> Stores:
        """The stores that are open; they belong to the event loop of another thread.

        Raises:
            StoreClosedError: None are.
        """
        return self._app.stores

    @overload  # the first that fits is meant
    def task(  # type: ignore[overload-overlap]
        self, func: Callable[P, Coroutine[Any, Any, R]], /
    ) -> SyncCoroutineTask[P, R]: ...
    @overload
    def task(self, func: Callable[P, R], /) -> SyncFunctionTask[P, R]: ...
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
    ) -> SyncTaskDecorator: ...

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

        As `AsyncOmniQ.task`.
        """
        if func is None:
            return functools.partial(self.task, name=name, retry=retry, run_in=run_in, **options)
        definition = register(self._app, func, name=name, retry=retry, run_in=run_in, options=options)
        kind = SyncCoroutineTask if inspect.iscoroutinefunction(definition.func) else SyncFunctionTask
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
    ) -> SyncWorker:
        """Return a worker: `app.worker().run()`, or `with app.worker():` in the background. As `AsyncOmniQ.worker`."""
        from omniq.app.sync_worker import SyncWorker

        worker = self._app.worker(
            queues=queues,
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
        return SyncWorker(worker, self._app)

    def connect(self) -> Stores:
        """Open the stores, unless they are open. As `AsyncOmniQ.connect`."""
        return self._portal.call(self._app.connect)

    def close(self) -> None:
        """Write what is being enqueued and close the stores; the next use connects again."""
        self._portal.close()

    def __enter__(self) -> Self:
        self.connect()
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.config.project_name}: {len(self.registry)} tasks>"

    @property
    def _sync_jobs(self) -> SyncJobClient:
        return self
