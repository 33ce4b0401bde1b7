"""The group `omniq task`; its commands are imported with it."""

from __future__ import annotations

from omniq.cli.command import group
from omniq.cli.task.change import cancel, retry
from omniq.cli.task.listing import list_
from omniq.cli.task.purge import purge
from omniq.cli.task.show import show
from omniq.cli.task.watch import watch

__all__ = ["command"]

command = group("task", "List, watch, retry, cancel and purge tasks.")
for _command in (list_, show, watch, retry, cancel, purge):
    command.add_command(_command)
