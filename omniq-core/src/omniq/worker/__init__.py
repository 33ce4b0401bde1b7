"""The consumer's side: claims tasks, runs them, and keeps queues, schedules and stores in order."""

from __future__ import annotations

from omniq.worker.context import TaskContext, current_task
from omniq.worker.options import WorkerHealth, WorkerOptions, WorkerReport
from omniq.worker.shutdown import install_signal_handlers, signal_handlers
from omniq.worker.stores import check_stores_for_process
from omniq.worker.worker import Worker

__all__ = [
    "TaskContext",
    "Worker",
    "WorkerHealth",
    "WorkerOptions",
    "WorkerReport",
    "check_stores_for_process",
    "current_task",
    "install_signal_handlers",
    "signal_handlers",
]
