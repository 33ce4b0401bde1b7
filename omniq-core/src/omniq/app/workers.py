"""Makes workers for an application."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from omniq.errors import ConfigError
from omniq.models.durations import parse_seconds, seconds_to_millis
from omniq.models.redaction import show

if TYPE_CHECKING:
    from collections.abc import Sequence

    from omniq.queue.options import Duration
    from omniq.worker.options import WorkerOptions

__all__ = ["worker_options"]


def worker_options(
    *,
    queues: str | Sequence[str],
    concurrency: int | None,
    processes: int | None,
    burst: bool,
    lease: Duration | None,
    heartbeat: Duration | None,
    shutdown_timeout: Duration | None,
    kill_grace: Duration | None,
    max_tasks: int | None,
    scheduler: bool,
    sweep: bool,
    name: str | None,
) -> WorkerOptions:
    """Return the options of a worker; what is None has its default.

    Raises:
        ConfigError: One is invalid.
    """
    from omniq.worker.options import WorkerOptions

    given: dict[str, Any] = {
        "queues": queues,
        "concurrency": concurrency,
        "processes": processes,
        "burst": burst,
        "lease_ms": _milliseconds(lease, "lease"),
        "heartbeat_ms": _milliseconds(heartbeat, "heartbeat"),
        "shutdown_timeout_ms": _milliseconds(shutdown_timeout, "shutdown_timeout"),
        "kill_grace_ms": _milliseconds(kill_grace, "kill_grace"),
        "max_tasks": max_tasks,
        "scheduler": scheduler,
        "sweep": sweep,
        "name": name,
    }
    return WorkerOptions(**{option: value for option, value in given.items() if value is not None})


def _milliseconds(value: Duration | None, name: str) -> int | None:
    if value is None:
        return None
    try:
        milliseconds = seconds_to_millis(parse_seconds(value))
    except ValueError as error:
        raise ConfigError(f"{name}: {error}") from None
    if milliseconds is None:
        raise ConfigError(f"{name}: {show(value)} has no end. Give seconds or a timedelta.")
    return milliseconds
