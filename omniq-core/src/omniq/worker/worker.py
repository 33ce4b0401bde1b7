"""The worker: claims tasks, runs them, records what became of them."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from typing import TYPE_CHECKING, Self

from omniq.storage.factory import Stores
from omniq.worker.claiming import Claimer
from omniq.worker.crew import Crew
from omniq.worker.execution import Executor
from omniq.worker.lease import LeaseKeeper
from omniq.worker.observing import Observer
from omniq.worker.options import WorkerHealth, WorkerOptions, WorkerReport
from omniq.worker.relay import Relay
from omniq.worker.roster import Roster
from omniq.worker.scheduler import Scheduler
from omniq.worker.settling import Settler
from omniq.worker.shutdown import drain
from omniq.worker.sweeper import Sweeper
from omniq.worker.switching import prompt_switching
from omniq.worker.wrapping import Wrappers

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from types import TracebackType

    import pluggy

    from omniq.models.config import OmniQConfig
    from omniq.queue.registry import TaskRegistry
    from omniq.serialization import SerializerRegistry
    from omniq.worker.context import Run

__all__ = ["Worker"]

_log = logging.getLogger(__name__)


class Worker:
    """Runs the tasks of some queues until it is stopped.

    `async with worker:` runs it in the background of a program that does other things too.

    Args:
        stores: The opened storages, or a function that opens them.
        registry: Which functions may run.
        config: The application's configuration.
        serializers: Decode arguments and encode results.
        options: How it works.
        hooks: The loaded plugins.
    """

    def __init__(
        self,
        *,
        stores: Stores | Callable[[], Awaitable[Stores]],
        registry: TaskRegistry,
        config: OmniQConfig,
        serializers: SerializerRegistry,
        options: WorkerOptions | None = None,
        hooks: pluggy.PluginManager | None = None,
    ) -> None:
        self.options = options or WorkerOptions()
        self._given_stores = stores
        self._registry = registry
        self._config = config
        self._serializers = serializers
        self._hooks = hooks
        self._roster = Roster(self.options)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop_wanted = False
        self._hurry_wanted = False
        self._stop = asyncio.Event()
        self._hurry = asyncio.Event()
        self._failure: BaseException | None = None
        self._claimer: Claimer | None = None
        self._executor: Executor | None = None
        self._lease: LeaseKeeper | None = None
        self._relay: Relay | None = None
        self._background: asyncio.Task[WorkerReport] | None = None
        self._lag_ms = 0.0
        self._ended = False

    def __repr__(self) -> str:
        return f"<Worker {self.options.name} queues={','.join(self.options.queues)}>"

    # Life

    async def run(self) -> WorkerReport:
        """Work until stopped, or with `burst` until nothing is left to do.

        Returns:
            What was done. `recycle` says whether the process should be replaced.

        Raises:
            Exception: A fault inside the worker; what could be handed back was.
        """
        if self._loop is not None:
            raise RuntimeError(f"{self!r} was started before; make another one with app.worker().")
        self._loop = asyncio.get_running_loop()
        stores = self._given_stores if isinstance(self._given_stores, Stores) else await self._given_stores()
        with prompt_switching():
            await self._work(self._loop, stores)
        if self._failure is not None:
            raise self._failure
        return self._roster.report()

    async def _work(self, loop: asyncio.AbstractEventLoop, stores: Stores) -> None:
        """Start everything, wait for the end, and end everything in its order."""
        crew = Crew(self._crew_failed)
        settler = Settler(stores, self._roster, self.options, self._config.serializer, self._settled)
        self._build(loop, stores, settler)
        claimer, executor, lease, relay = self._parts()
        observer = await Observer.of(self._hooks, stores.events)
        crew.start("settling", settler.run())
        if observer is not None:
            crew.start("observing", observer.run())
        self._start_upkeep(crew, stores, relay)
        claiming = crew.start("claiming", claimer.run())
        claiming.add_done_callback(lambda _: self._stop.set())
        if self._stop_wanted:
            self._obey()
        try:
            await self._stop.wait()
        except asyncio.CancelledError:
            self._hurry.set()
            raise
        finally:
            try:
                await drain(
                    claimer=claimer,
                    claiming=claiming,
                    executor=executor,
                    settler=settler,
                    roster=self._roster,
                    options=self.options,
                    hurry=self._hurry,
                )
            finally:
                await crew.dismiss()
                await self._pass_on(relay, observer)
                executor.close()
                await lease.stop()
                self._ended = True

    async def _pass_on(self, relay: Relay, observer: Observer | None) -> None:
        """Carry the last events; another worker carries what fails here."""
        with contextlib.suppress(Exception):
            if relay.is_needed:
                async with asyncio.timeout(self.options.lease_ms / 1000):
                    await relay.flush()
            if observer is not None:
                await observer.catch_up()

    def stop(self, *, now: bool = False) -> None:
        """Stop; from any thread, at any time, also before `run`.

        What has not started is handed back and what runs may finish within `shutdown_timeout_ms`.

        Args:
            now: Cancel and hand back what runs.
        """
        self._stop_wanted = True
        self._hurry_wanted = self._hurry_wanted or now
        if self._loop is not None:
            with contextlib.suppress(RuntimeError):  # the loop is closed, so the worker has ended
                self._loop.call_soon_threadsafe(self._obey)

    async def __aenter__(self) -> Self:
        self._background = asyncio.ensure_future(self.run())
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop(now=exc is not None)
        if self._background is not None:
            await self._background

    @property
    def report(self) -> WorkerReport:
        """The counts so far."""
        return self._roster.report()

    def health(self) -> WorkerHealth:
        """Return a snapshot; from any thread."""
        unsettled = self._roster.unsettled
        return WorkerHealth(
            name=self.options.name,
            state=self._state(),
            running=len(self._roster.held) - unsettled,
            unsettled=unsettled,
            last_claim_at=self._claimer.last_claim_at if self._claimer is not None else None,
            loop_lag_ms=self._lag_ms,
            report=self._roster.report(),
        )

    # What the parts tell

    def note(self, run: Run, text: str) -> None:
        """Log a progress note."""
        _log.info("task %s: %s", run.grant.id, text, extra=run.log_fields())

    def renew_soon(self, run: Run) -> None:
        """Renew the lease of a run now."""
        if self._lease is not None:
            self._lease.renew_soon(run)

    def superseded(self, run: Run) -> None:
        """Stop a run whose task was granted again."""
        self.interrupt(run, "lost")

    def interrupt(self, run: Run, why: str) -> None:
        """Stop a run."""
        if self._executor is not None:
            self._executor.interrupt(run, why)

    def fence(self, *, up: bool) -> None:
        """Stop claiming while leases cannot be renewed."""
        if self._claimer is not None:
            self._claimer.fenced = up
            self._claimer.nudge()

    def pong(self, sent_at: float) -> None:
        """Measure how late the loop is."""
        self._lag_ms = (time.monotonic() - sent_at) * 1000

    # Inside

    def _build(self, loop: asyncio.AbstractEventLoop, stores: Stores, settler: Settler) -> None:
        options = self.options
        self._relay = Relay(stores)
        self._lease = LeaseKeeper(stores.task_queue, self._roster, options, loop, self)
        self._executor = Executor(
            loop=loop,
            roster=self._roster,
            settler=settler,
            registry=self._registry,
            serializers=self._serializers,
            serializer=self._config.serializer,
            options=options,
            recycle=self.stop,
            wrappers=Wrappers.of(self._hooks),
        )
        self._claimer = Claimer(
            queue=stores.task_queue,
            roster=self._roster,
            options=options,
            desk=self,
            start=self._executor.start,
            claimed=self._claimed,
        )

    def _parts(self) -> tuple[Claimer, Executor, LeaseKeeper, Relay]:
        assert self._claimer is not None  # noqa: S101 - for the type checker
        assert self._executor is not None  # noqa: S101
        assert self._lease is not None  # noqa: S101
        assert self._relay is not None  # noqa: S101
        return self._claimer, self._executor, self._lease, self._relay

    def _start_upkeep(self, crew: Crew, stores: Stores, relay: Relay) -> None:
        if relay.is_needed:
            crew.start("relay", relay.run())
        if self.options.scheduler:
            crew.start("scheduler", Scheduler(stores, relay.kick).run())
        if self.options.sweep:
            sweeper = Sweeper(stores, self._config, self.options)
            crew.start("retention", sweeper.run())
            crew.start("recovery", sweeper.recover())

    def _claimed(self) -> None:
        if self._lease is not None:
            self._lease.start()
        self._kick()

    def _settled(self) -> None:
        self._kick()
        if self.options.burst and self._claimer is not None:
            self._claimer.nudge()

    def _kick(self) -> None:
        if self._relay is not None and self._relay.is_needed:
            self._relay.kick()

    def _obey(self) -> None:
        self._stop.set()
        if self._hurry_wanted:
            self._hurry.set()
            self._roster.wake()

    def _crew_failed(self, error: BaseException) -> None:
        self._failure = error
        self.stop()

    def _state(self) -> str:
        claimer = self._claimer
        if self._ended or claimer is None:
            return "stopped" if self._ended else "starting"
        states = {
            "stopping": self._stop_wanted or self._stop.is_set(),
            "fenced": claimer.fenced,
            "unreachable": claimer.is_lost,
            "full": self._roster.free <= 0,
            "working": bool(self._roster.held),
        }
        return next((state for state, holds in states.items() if holds), "idle")
