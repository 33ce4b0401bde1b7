"""`explain`."""

from __future__ import annotations

import functools
import inspect
from typing import TYPE_CHECKING

import click

from omniq_conformance.cli.contract import ROLES, contract_of
from omniq_conformance.cli.output import console
from omniq_conformance.cli.selection import case_of
from omniq_conformance.programs.queue_templates import Template

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from rich.console import Console

    from omniq_conformance.registry import Case

__all__ = ["explain"]


@click.command()
@click.argument("id", metavar="ID")
def explain(id: str) -> None:
    """Show what a case guarantees, and how it looks at it.

    ID is that of a case (OQ-Q-0101) or of an item (OQ-Q-0101-joined).
    """
    case = case_of(id)
    shown = console()
    shown.print(f"{case.id}  {case.title}\n", style="bold")
    for name, value in _facts(case).items():
        shown.print(f"{name:<11}{value}")
    template = _template(case)
    function = inspect.unwrap(template.build) if template else inspect.unwrap(case.check)
    _print_more(shown, function)
    if template is not None:
        shown.print("\nIts program", style="bold")
        for number, op in enumerate(template.build("t0", "t1", "a")):
            shown.print(f"  {number}  {op}")
        shown.print(f"and it must have been seen: {', '.join(sorted(template.sees)) or 'nothing in particular'}")
    _print_source(shown, function)


def _facts(case: Case) -> dict[str, str]:
    facts = {
        "family": f"{case.family.name}: {case.family.guarantee}",
        "level": case.family.level.value,
        "role": ROLES[case.id[3]],
        "modes": ", ".join(case.modes),
        "contract": "; ".join(contract_of(case)) + " (docs/reference/contract.md)",
    }
    return facts | ({"status": "provisional: it counts from the next release on"} if case.provisional else {})


def _template(case: Case) -> Template | None:
    """Return the chain of operations that a case runs alone, if that is what it does."""
    if not isinstance(case.check, functools.partial):
        return None
    return next((argument for argument in case.check.args if isinstance(argument, Template)), None)


def _print_more(shown: Console, function: Callable[..., Any]) -> None:
    """Print what the docstring says after its first line, which is the title."""
    more = (inspect.getdoc(_plain(function)) or "").partition("\n")[2].strip()
    if more:
        shown.print(f"\n{more}")


def _print_source(shown: Console, function: Callable[..., Any]) -> None:
    from rich.syntax import Syntax

    found = _plain(function)
    lines, number = inspect.getsourcelines(found)
    shown.print(f"\n{inspect.getsourcefile(found)}:{number}", style="dim", soft_wrap=True)
    shown.print(Syntax("".join(lines).rstrip(), "python", background_color="default", word_wrap=True))


def _plain(function: Callable[..., Any]) -> Callable[..., Any]:
    while isinstance(function, functools.partial):
        function = inspect.unwrap(function.func)
    return function
