"""What a worker can be told, and what it reports."""

from __future__ import annotations

import os
import secrets
import socket
from typing import TYPE_CHECKING, Any

import attrs

from omniq.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["WorkerHealth", "WorkerOptions", "WorkerReport", "worker_name"]

_MINUTE_MS = 60_000


def worker_name() -> str:
    """Return a new name that tells host and process, and is not used by any other worker."""
    return f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(3)}"


def _at_least(least: int) -> Callable[[object, attrs.Attribute[Any], Any], None]:
    def check(_: object, attribute: attrs.Attribute[Any], value: Any) -> None:
        if type(value) is not int or value < least:
            raise ConfigError(f"{attribute.name}: {value!r} is not a whole number of at least {least} (WorkerOptions).")

    return check


def _queue_names(_: object, attribute: attrs.Attribute[Any], value: Any) -> None:
    if not isinstance(value, tuple) or not value or not all(isinstance(name, str) and name for name in value):
        raise ConfigError(
            f"{attribute.name}: {value!r} must name at least one queue, each as text, for example ('default', 'mail')."
        )


def _to_queues(value: object) -> object:
    if isinstance(value, str):
        return (value,)
    return tuple(dict.fromkeys(value)) if isinstance(value, list | tuple) else value


@attrs.frozen(kw_only=True)
class WorkerOptions:
    """How one worker works. Times are milliseconds.

    Attributes:
        queues: The queues to take tasks from; their order does not matter, priorities do.
        concurrency: How many tasks run at once, counted over the loop, threads and processes.
        processes: How many child processes run tasks with `run_in="process"`; the default is the number of CPUs, at
            most `concurrency`.
        lease_ms: After so long without a sign of life, other workers take this worker's tasks over.
        heartbeat_ms: How often leases are renewed and requested cancels are heard of; the default is a third of the
            lease, at most 5 seconds.
        shutdown_timeout_ms: How long running tasks may go on after the first signal.
        kill_grace_ms: How long a task that cannot be killed (a thread, a coroutine that swallows its cancellation)
            may go on after its timeout, before the task fails and the worker recycles itself.
        burst: Return when nothing is ready or running in the queues any more.
        max_tasks: Drain and return with `recycle=True` after so many tasks; 0 is without limit.
        scheduler: Whether it also fires schedules.
        sweep: Whether it also removes what is older than its retention.
        unknown_task_grace_ms: How long a task whose function is not known here is left for newer workers.
        name: Who claims; kept in records and events.
    """

    queues: tuple[str, ...] = attrs.field(default=("default",), converter=_to_queues, validator=_queue_names)
    concurrency: int = attrs.field(default=100, validator=_at_least(1))
    processes: int = attrs.field(validator=_at_least(1))
    lease_ms: int = attrs.field(default=30_000, validator=_at_least(1))
    heartbeat_ms: int = attrs.field(validator=_at_least(1))
    shutdown_timeout_ms: int = attrs.field(default=30_000, validator=_at_least(0))
    kill_grace_ms: int = attrs.field(default=10_000, validator=_at_least(0))
    burst: bool = False
    max_tasks: int = attrs.field(default=0, validator=_at_least(0))
    scheduler: bool = True
    sweep: bool = True
    unknown_task_grace_ms: int = attrs.field(default=10 * _MINUTE_MS, validator=_at_least(0))
    name: str = attrs.field(factory=worker_name)

    @processes.default
    def _processes(self) -> int:
        return max(1, min(os.cpu_count() or 1, self.concurrency))

    @heartbeat_ms.default
    def _heartbeat(self) -> int:
        return max(1, min(self.lease_ms // 3, 5_000))

    def __attrs_post_init__(self) -> None:
        """Check what concerns two options at once."""
        if self.heartbeat_ms * 2 > self.lease_ms:
            raise ConfigError(
                f"heartbeat_ms: {self.heartbeat_ms} is more than half of lease_ms ({self.lease_ms}), so one lost "
                "heartbeat would lose the tasks. Use at most a third of the lease."
            )


@attrs.frozen(kw_only=True)
class WorkerReport:
    """What a worker did from start to end.

    Attributes:
        name: The worker's name.
        claimed: Runs that it took.
        completed: Runs recorded as COMPLETED.
        failed: Runs recorded as FAILED or CANCELLED.
        retried: Runs that failed and will be tried again.
        released: Runs that were handed back.
        lost: Runs whose outcome was not accepted, because somebody else had taken the task over.
        recycle: Whether a new worker should take its place in a fresh process, and why; empty if not.
    """

    name: str
    claimed: int = 0
    completed: int = 0
    failed: int = 0
    retried: int = 0
    released: int = 0
    lost: int = 0
    recycle_reason: str = ""

    @property
    def recycle(self) -> bool:
        """Whether a new worker should take its place in a fresh process."""
        return bool(self.recycle_reason)


@attrs.frozen(kw_only=True)
class WorkerHealth:
    """A worker at a moment.

    Attributes:
        name: The worker's name.
        state: `starting`, `working`, `idle`, `full`, `unreachable` (the store), `fenced` (leases cannot be renewed),
            `stopping` or `stopped`.
        running: Tasks that run now.
        unsettled: Tasks that ended and are not recorded yet.
        last_claim_at: When the store last answered a claim, seconds of `time.monotonic()`; None before the first.
        loop_lag_ms: How late the event loop answered the latest ping of the lease thread.
        report: The counts so far.
    """

    name: str
    state: str
    running: int
    unsettled: int
    last_claim_at: float | None
    loop_lag_ms: float
    report: WorkerReport
