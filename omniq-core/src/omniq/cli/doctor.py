"""`omniq doctor`: is everything in order, and what is to be done if not."""

from __future__ import annotations

from typing import TYPE_CHECKING

from omniq.cli.applications import configuration
from omniq.cli.command import option, plain_command
from omniq.cli.exits import ExitCode
from omniq.cli.output import counted
from omniq.storage.upkeep import Finding, Severity

if TYPE_CHECKING:
    from omniq.cli.output import Output
    from omniq.cli.target import Target
    from omniq.models.config import OmniQConfig
    from omniq.storage.factory import Stores

__all__ = ["command"]

_MARKS = {Severity.OK: ("ok", "green"), Severity.WARNING: ("warning", "yellow"), Severity.ERROR: ("ERROR", "bold red")}


@plain_command("doctor")
@option("--integrity", is_flag=True, help="Also read the whole store and look for damage.")
async def command(target: Target, out: Output, *, integrity: bool) -> ExitCode:
    """Check the installation, the configuration and the stores.

    Exit code 1 if there is an error; warnings do not count.
    """
    findings = await _findings(target, integrity=integrity)
    worst = max((list(Severity).index(finding.severity) for finding in findings), default=0)
    if out.as_json:
        out.data({"status": list(Severity)[worst], "findings": findings})
    else:
        _print(out, findings)
    return ExitCode.FAILED if worst == len(Severity) - 1 else ExitCode.OK


async def _findings(target: Target, *, integrity: bool) -> list[Finding]:
    from omniq.cli import checks
    from omniq.errors import OmniQError
    from omniq.storage.factory import create_stores, make_plan

    found = checks.check_installation()
    try:
        config = configuration(target)
        stores = create_stores(make_plan(config))
    except OmniQError as error:
        return [*found, Finding("configuration", Severity.ERROR, str(error))]
    return found + await _look_into(stores, config, integrity=integrity)


async def _look_into(stores: Stores, config: OmniQConfig | None, *, integrity: bool) -> list[Finding]:
    from omniq.app import AsyncOmniQ
    from omniq.cli import checks
    from omniq.models.config import Role

    try:
        found, opened = await checks.check_storages(stores)
        if Role.TASK_QUEUE in opened:
            found += await checks.check_work(stores.task_queue)
            if integrity:
                found += await checks.check_integrity(stores.task_queue)
    finally:
        await stores.close()
    if opened == frozenset(Role):
        async with AsyncOmniQ(config=config) as app:
            found += await checks.check_plugins(app.stores, app)
    return found


def _print(out: Output, findings: list[Finding]) -> None:
    from rich.text import Text

    rows = []
    for finding in findings:
        word, style = _MARKS[finding.severity]
        text = f"{finding.message}. {finding.remedy}" if finding.remedy else finding.message
        rows.append((Text(word, style=style), finding.name, text))
    out.table(("", "WHAT", "FOUND"), rows)
    errors = sum(finding.severity is Severity.ERROR for finding in findings)
    warnings = sum(finding.severity is Severity.WARNING for finding in findings)
    out.say()
    out.say(
        f"{counted(errors, 'error')}, {counted(warnings, 'warning')}."
        if errors or warnings
        else "Everything is in order."
    )
