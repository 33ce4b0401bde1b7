"""The group `omniq-conformance`: which commands there are, and how their errors end."""

from __future__ import annotations

from concurrent.futures.process import BrokenProcessPool
from difflib import get_close_matches
from importlib import import_module
from typing import TYPE_CHECKING, Any, cast

import click

from omniq_conformance.cli.exits import ExitCode
from omniq_conformance.cli.output import plain
from omniq_conformance.outcomes import HarnessError, UnverifiedError
from omniq_conformance.reports.jsonl import ReportError

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["COMMANDS", "LazyGroup", "main"]

COMMANDS: Mapping[str, tuple[str, str]] = {
    "smoke": ("omniq_conformance.cli.run:smoke", "Find out in ten seconds whether a harness is wired right."),
    "run": ("omniq_conformance.cli.run:run", "Run the suite on a backend, and say what it proves."),
    "list": ("omniq_conformance.cli.listing:list_cases", "List the cases."),
    "explain": ("omniq_conformance.cli.explain:explain", "Show what a case guarantees, and how it looks at it."),
    "replay": ("omniq_conformance.cli.replay:replay", "Run a program again that was kept because it failed."),
    "diff": ("omniq_conformance.cli.diff:diff", "Tell what got worse or better from one report to another."),
    "site": ("omniq_conformance.cli.files:site", "Make web pages of reports: backends against guarantees."),
    "badge": ("omniq_conformance.cli.files:badge", "Make a badge of a report."),
    "validate": ("omniq_conformance.cli.files:validate", "Check that files are complete reports."),
    "mutants": ("omniq_conformance.mutants.command:mutants", "Check that the suite finds every planted bug."),
    "new-backend": ("omniq_conformance.scaffold.command:new_backend", "Begin a backend as a distribution of its own."),
}
"""Every command: the module and attribute that it is, and its summary."""


class LazyGroup(click.Group):
    """Imports a command when it is used, and gives every error a message and an exit code."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the commands in the order in which a newcomer meets them."""
        del ctx
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return a command, importing its module if that is the first use."""
        if cmd_name in COMMANDS and cmd_name not in self.commands:
            module, _, attribute = COMMANDS[cmd_name][0].partition(":")
            self.add_command(cast("click.Command", getattr(import_module(module), attribute)), cmd_name)
        return super().get_command(ctx, cmd_name)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command of the first argument; an unknown one gets the closest name proposed."""
        name = args[0]
        if name not in COMMANDS and not name.startswith("-"):
            close = get_close_matches(name, COMMANDS, 1)
            ctx.fail(f"No such command {name!r}.{f' Did you mean {close[0]!r}?' if close else ''}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands without importing them."""
        del ctx
        with formatter.section("Commands"):
            formatter.write_dl([(name, summary) for name, (_, summary) in COMMANDS.items()])

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; what is not its fault is one message on standard error and an exit code."""
        try:
            return super().invoke(ctx)
        except HarnessError as error:
            raise _ended(f"The harness broke. {error}", ExitCode.FAILED) from error
        except UnverifiedError as error:
            raise _ended(f"The harness cannot be used here. {error}", ExitCode.FAILED) from error
        except BrokenProcessPool as error:
            why = "A process of the run died, so the report has no end. Run with --jobs 1 to see more."
            raise _ended(why, ExitCode.FAILED) from error
        except (ReportError, OSError) as error:
            raise _ended(str(error), ExitCode.USAGE) from error
        except KeyboardInterrupt as error:
            raise _ended("Interrupted.", ExitCode.INTERRUPTED) from error


def _ended(message: str, code: ExitCode) -> click.exceptions.Exit:
    click.echo(f"Error: {plain(message)}", err=True)
    return click.exceptions.Exit(code)


@click.group(
    cls=LazyGroup,
    context_settings={
        "auto_envvar_prefix": "OMNIQ_CONFORMANCE",
        "help_option_names": ["-h", "--help"],
        "max_content_width": 120,
    },
    epilog="Every option has an environment variable, which --help of the command names. "
    "Exit codes: 0 good, 1 a case failed, broke or was vacuous, 2 usage.",
)
@click.version_option(package_name="omniq-conformance", prog_name="omniq-conformance")
def main() -> None:
    """Run the conformance suite of OmniQ on a storage backend.

    Start with `omniq-conformance smoke --backend NAME`.
    """
