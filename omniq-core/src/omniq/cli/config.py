"""`omniq config`: what the configuration comes to, and whether it is right."""

from __future__ import annotations

from typing import TYPE_CHECKING

from omniq.cli.applications import configuration
from omniq.cli.command import group, plain_command
from omniq.cli.exits import ExitCode
from omniq.cli.output import age
from omniq.storage.report import report_config

if TYPE_CHECKING:
    from collections.abc import Mapping

    from omniq.cli.output import Output
    from omniq.cli.target import Target
    from omniq.storage.report import ConfigReport

__all__ = ["command"]

command = group("config", "Show and check the configuration.")


@plain_command("show", parent=command)
async def show(target: Target, out: Output) -> None:
    """Print the resolved configuration and where each value came from; secrets are shown as ***.

    The backend of a role comes from explicit configuration, else its environment variable, else the task queue's
    backend, else SQLite.
    """
    report = report_config(configuration(target))
    if out.as_json:
        out.data(report)
        return
    columns = ("ROLE", "BACKEND", "FROM", "URL", "FROM", "OPTIONS", "FROM")
    roles = (
        (row.role, row.backend_type, row.type_source, row.url, row.url_source, _listed(row.options), row.options_source)
        for row in report.roles
    )
    out.table(columns, roles)
    _note_problems(out, report)
    out.say()
    settings = ((row.name, _shown(row.name, row.value), row.source) for row in report.settings)
    out.table(("SETTING", "VALUE", "FROM"), settings)


@plain_command("check", parent=command)
async def check(target: Target, out: Output) -> ExitCode:
    """Check the configuration without connecting to anything; exit code 1 if a backend cannot be used.

    An invalid configuration lists all its faults and ends with exit code 2.
    """
    report = report_config(configuration(target))
    problems = [row for row in report.roles if row.problem]
    if out.as_json:
        out.data({"valid": not problems, "problems": problems})
    elif problems:
        _note_problems(out, report)
    else:
        out.say(f"Valid. {', '.join(f'{row.role}: {row.backend_type}' for row in report.roles)}.")
    return ExitCode.FAILED if problems else ExitCode.OK


def _note_problems(out: Output, report: ConfigReport) -> None:
    """Tell each problem once, although its first line names the role."""
    told: set[str] = set()
    for row in report.roles:
        head, _, rest = row.problem.partition("\n")
        if head:
            out.note(f"{head}\n{rest}" if rest not in told else head)
            told.add(rest)


def _listed(options: Mapping[str, object]) -> str:
    return ", ".join(f"{name}={value!r}" for name, value in options.items()) or "-"


def _shown(name: str, value: object) -> object:
    if name.endswith(("_ttl", "_retention")):
        return "for ever" if value is None else age(value) if isinstance(value, int | float) else value
    if isinstance(value, tuple | list):
        return ", ".join(map(str, value)) or "-"
    return value
