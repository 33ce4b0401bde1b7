"""Structured logging: every record that a running task writes carries the task's id, queue and attempt."""

from __future__ import annotations

from omniq.telemetry.logs import JsonFormatter, TaskFields, setup_logging
from omniq.telemetry.subject import LogSubject, log_subject

__all__ = ["JsonFormatter", "LogSubject", "TaskFields", "log_subject", "setup_logging"]
