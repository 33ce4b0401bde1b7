"""Schedules, for programs that block."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from omniq.app.blocking import Blocking
from omniq.models.schedule import MisfirePolicy

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime, timedelta

    from omniq.models.schedule import Schedule
    from omniq.queue.job import SyncJob
    from omniq.queue.options import Duration
    from omniq.queue.task import TaskCall, TaskHandle

__all__ = ["SyncScheduleClient"]


class SyncScheduleClient(Blocking):
    """The part that keeps schedules; see `omniq.queue.schedules.ScheduleClient`."""

    def add_schedule(
        self,
        id: str,
        func: TaskCall[Any] | TaskHandle[..., Any] | Callable[..., Any] | str,
        args: list[Any] | tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
        *,
        cron: str | None = None,
        zone: str = "UTC",
        interval: timedelta | None = None,
        at: datetime | None = None,
        misfire: MisfirePolicy | str = MisfirePolicy.COALESCE,
        grace: Duration | None = None,
        jitter: Duration | None = None,
        max_runs: int | None = None,
        paused: bool | None = None,
        queue: str | None = None,
        priority: int | None = None,
        max_retries: int | None = None,
        timeout: Duration | None = None,
        result_ttl: Duration | None = None,
        expires_in: Duration | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Schedule:
        """Keep a schedule, which every worker fires. As `AsyncOmniQ.add_schedule`."""
        return self._portal.call(
            self._app.add_schedule,
            id,
            func,
            args,
            kwargs,
            cron=cron,
            zone=zone,
            interval=interval,
            at=at,
            misfire=misfire,
            grace=grace,
            jitter=jitter,
            max_runs=max_runs,
            paused=paused,
            queue=queue,
            priority=priority,
            max_retries=max_retries,
            timeout=timeout,
            result_ttl=result_ttl,
            expires_in=expires_in,
            headers=headers,
        )

    def get_schedule(self, id: str) -> Schedule:
        """Return a schedule. As `AsyncOmniQ.get_schedule`."""
        return self._portal.call(self._app.get_schedule, id)

    def list_schedules(self) -> list[Schedule]:
        """Return all schedules, by id. As `AsyncOmniQ.list_schedules`."""
        return self._portal.call(self._app.list_schedules)

    def pause_schedule(self, id: str) -> Schedule:
        """Pass a schedule over until it is resumed. As `AsyncOmniQ.pause_schedule`."""
        return self._portal.call(self._app.pause_schedule, id)

    def resume_schedule(self, id: str) -> Schedule:
        """Let a paused schedule fire again. As `AsyncOmniQ.resume_schedule`."""
        return self._portal.call(self._app.resume_schedule, id)

    def delete_schedule(self, id: str) -> bool:
        """Remove a schedule; False if there was none. As `AsyncOmniQ.delete_schedule`."""
        return self._portal.call(self._app.delete_schedule, id)

    def run_schedule(self, id: str) -> SyncJob[Any]:
        """Enqueue a schedule's task now, besides its fire times. As `AsyncOmniQ.run_schedule`."""
        return self._sync(self._portal.call(self._app.run_schedule, id))

    def next_fire_times(self, id: str, count: int = 5) -> list[datetime]:
        """Return the next nominal fire times in UTC. As `AsyncOmniQ.next_fire_times`."""
        return self._portal.call(self._app.next_fire_times, id, count)
