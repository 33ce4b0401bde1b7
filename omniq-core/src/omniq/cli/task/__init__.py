"""`omniq task`: look at tasks and interfere with them."""

from __future__ import annotations

from omniq.cli.task.group import command

__all__ = ["command"]
