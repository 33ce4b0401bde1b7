"""`list`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from omniq_conformance.cli.contract import ROLES
from omniq_conformance.cli.options import as_json_option, option
from omniq_conformance.cli.output import console, counted, dump, print_table, table
from omniq_conformance.families import FAMILIES
from omniq_conformance.registry import all_cases

if TYPE_CHECKING:
    from omniq_conformance.registry import Case

__all__ = ["list_cases"]


@click.command("list")
@option("--family", type=click.Choice([family.name for family in FAMILIES.values()]), help="Only cases of this family.")
@option("--role", type=click.Choice(list(ROLES.values())), help="Only cases of this role; several is the rest.")
@as_json_option
def list_cases(*, family: str | None, role: str | None, as_json: bool) -> None:
    """List the cases.

    A case with several modes is one item in each of them, and its id gets the mode's name: OQ-Q-0101-joined.
    """
    found = [case for case in all_cases() if family in {None, case.family.name} and role in {None, ROLES[case.id[3]]}]
    if as_json:
        dump([_entry(case) for case in found])
        return
    cases = table("case", "family", "level", "modes", "what is guaranteed")
    for case in found:
        modes = ", ".join(case.modes) if len(case.modes) > 1 else ""
        note = " (provisional)" if case.provisional else ""
        cases.add_row(case.id, case.family.name, case.family.level, modes, f"{case.title}{note}")
    shown = console()
    print_table(shown, cases)
    shown.print(f"\n{counted(len(found), 'case')}, {counted(sum(len(case.modes) for case in found), 'item')}")


def _entry(case: Case) -> dict[str, object]:
    return {
        "id": case.id,
        "title": case.title,
        "role": ROLES[case.id[3]],
        "family": case.family.name,
        "level": case.family.level.value,
        "modes": [mode.value for mode in case.modes],
        "provisional": case.provisional,
    }
