"""The group `omniq`: which commands there are, and how their errors end."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, cast

import click

from omniq.cli.exits import ExitCode, exit_code_of
from omniq.cli.output import plain
from omniq.errors import OmniQError

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["COMMANDS", "LazyGroup", "cli"]

COMMANDS: Mapping[str, str] = {
    "demo": "Run the whole of OmniQ on real files, and check what came out.",
    "worker": "Run the tasks of an application until a signal comes.",
    "enqueue": "Enqueue one task.",
    "task": "List, watch, retry, cancel and purge tasks.",
    "result": "Read and delete results.",
    "queue": "List, pause, resume and purge queues.",
    "schedule": "List, add, pause, resume, fire and delete schedules.",
    "event": "List and follow what happened.",
    "config": "Show and check the configuration.",
    "backend": "List the backends that are installed.",
    "doctor": "Check the installation, the configuration and the stores.",
    "backup": "Copy the task queue's store while it is in use.",
}
"""Every command of the core, with its summary; each is the object `command` of the module of its name."""


class LazyGroup(click.Group):
    """Imports a command when it is used, and maps the application's errors to exit codes."""

    _plugins_asked = False

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the core's commands in their own order, then those of plugins."""
        del ctx
        self._ask_plugins()
        return [*COMMANDS, *sorted(set(self.commands) - set(COMMANDS))]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return a command, importing its module if that is the first use."""
        if cmd_name not in self.commands:
            if cmd_name in COMMANDS:
                module = import_module(f"omniq.cli.{cmd_name}")
                self.add_command(cast("click.Command", module.command), cmd_name)
            else:
                self._ask_plugins()
        return super().get_command(ctx, cmd_name)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands without importing those of the core."""
        rows = []
        for name in self.list_commands(ctx):
            command = None if name in COMMANDS else self.commands[name]
            if command is None or not command.hidden:
                rows.append((name, COMMANDS[name] if command is None else command.get_short_help_str(limit=80)))
        with formatter.section("Commands"):
            formatter.write_dl(rows)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; an error of the application is one message on standard error and its exit code."""
        try:
            return super().invoke(ctx)
        except (OmniQError, TimeoutError) as error:
            click.echo(f"Error: {plain(error) or type(error).__name__}", err=True)
            raise click.exceptions.Exit(exit_code_of(error)) from error
        except KeyboardInterrupt as error:
            click.echo("Interrupted.", err=True)
            raise click.exceptions.Exit(ExitCode.INTERRUPTED) from error

    def _ask_plugins(self) -> None:
        if self._plugins_asked:
            return
        self._plugins_asked = True
        from omniq.storage.plugins import register_commands

        register_commands(self)


@click.group(
    cls=LazyGroup,
    context_settings={"auto_envvar_prefix": "OMNIQ", "help_option_names": ["-h", "--help"], "max_content_width": 120},
    epilog="Every option has an environment variable, which --help of the command names. "
    "Exit codes: 0 done, 1 failed, 2 usage or configuration, 3 not found, 4 timeout, 5 store unreachable.",
)
@click.version_option(package_name="omniq-core", prog_name="omniq")
def cli() -> None:
    """OmniQ: a task queue with interchangeable storage.

    Start with `omniq demo`.
    """
