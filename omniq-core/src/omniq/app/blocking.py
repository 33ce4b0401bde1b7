"""What the parts of the blocking facade have in common."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from omniq.queue.job import SyncJob

if TYPE_CHECKING:
    from omniq.app.async_app import AsyncOmniQ
    from omniq.app.portal import Portal
    from omniq.queue.job import Job, SyncJobClient

__all__ = ["Blocking"]

R = TypeVar("R")


class Blocking:
    """What every part has."""

    _app: AsyncOmniQ
    _portal: Portal

    @property
    def _sync_jobs(self) -> SyncJobClient:
        raise NotImplementedError

    def _sync(self, job: Job[R]) -> SyncJob[R]:
        return SyncJob(job.id, self._sync_jobs, created=job.created)
