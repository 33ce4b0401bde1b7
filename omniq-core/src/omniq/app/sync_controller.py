"""Interfering with tasks and queues, for programs that block."""

from __future__ import annotations

from typing import TYPE_CHECKING, Unpack, overload

from omniq.app.blocking import Blocking

if TYPE_CHECKING:
    from collections.abc import Iterable

    from omniq.models.record import CancelReply, RedriveReply
    from omniq.queue.filters import FilterArguments, Several, Status
    from omniq.queue.job import TaskRef
    from omniq.queue.options import Duration

__all__ = ["SyncController"]


class SyncController(Blocking):
    """The part that cancels, repeats, removes and pauses; see `omniq.queue.controller.Controller`."""

    @overload
    def cancel(self, task: TaskRef) -> CancelReply: ...  # type: ignore[overload-overlap]  # text is iterable
    @overload
    def cancel(self, task: Iterable[TaskRef]) -> dict[str, CancelReply]: ...
    @overload
    def cancel(self, **conditions: Unpack[FilterArguments]) -> dict[str, CancelReply]: ...

    def cancel(
        self, task: TaskRef | Iterable[TaskRef] | None = None, **conditions: Unpack[FilterArguments]
    ) -> CancelReply | dict[str, CancelReply]:
        """Cancel waiting tasks at once, and ask workers to stop running ones. As `AsyncOmniQ.cancel`."""
        return self._portal.call(self._app.cancel, task, **conditions)  # type: ignore[arg-type]  # overloads

    @overload
    def retry(self, task: TaskRef) -> RedriveReply: ...  # type: ignore[overload-overlap]  # text is iterable
    @overload
    def retry(self, task: Iterable[TaskRef]) -> dict[str, RedriveReply]: ...
    @overload
    def retry(self, **conditions: Unpack[FilterArguments]) -> dict[str, RedriveReply]: ...

    def retry(
        self, task: TaskRef | Iterable[TaskRef] | None = None, **conditions: Unpack[FilterArguments]
    ) -> RedriveReply | dict[str, RedriveReply]:
        """Put failed and cancelled tasks back into their queues. As `AsyncOmniQ.retry`."""
        return self._portal.call(self._app.retry, task, **conditions)  # type: ignore[arg-type]  # overloads

    def purge(
        self,
        *,
        status: Several[Status] | None = None,
        older_than: Duration | None = None,
        pinned: bool = False,
        results: bool = False,
    ) -> int:
        """Remove tasks that have ended; return how many. As `AsyncOmniQ.purge`."""
        return self._portal.call(self._app.purge, status=status, older_than=older_than, pinned=pinned, results=results)

    def pause(self, queues: Several[str]) -> None:
        """Stop workers from taking tasks out of these queues, durably. As `AsyncOmniQ.pause`."""
        self._portal.call(self._app.pause, queues)

    def resume(self, queues: Several[str]) -> None:
        """Let workers take tasks out of these queues again. As `AsyncOmniQ.resume`."""
        self._portal.call(self._app.resume, queues)
