"""Write the parts of docs/reference/cli.md and conformance-cli.md that describe each command, from the commands.

Usage: python tools/cli_reference.py [--check]
"""

from __future__ import annotations

import argparse
import inspect
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from omniq.cli.root import COMMANDS, cli
from omniq_conformance.cli.root import COMMANDS as CONFORMANCE_COMMANDS
from omniq_conformance.cli.root import main as conformance

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

REFERENCE = Path(__file__).resolve().parents[1] / "docs" / "reference"
PAGES = {
    "cli.md": ("omniq", cli, COMMANDS),
    "conformance-cli.md": ("omniq-conformance", conformance, CONFORMANCE_COMMANDS),
}
MARK = "<!-- written by tools/cli_reference.py from here on -->\n"
SHARED = {"app", "config", "backend", "url", "base_dir", "as_json"}


def reference(program: str, group: click.Group, own: Iterable[str]) -> str:
    """Return the description of every command of a program, apart from those of plugins."""
    context = click.Context(group, info_name=program)
    sections = []
    for name in own:
        command = group.get_command(context, name)
        if command is not None:
            sections += _sections(command, (program, name))
    return "\n".join(sections)


def _sections(command: click.Command, path: tuple[str, ...]) -> Iterator[str]:
    title = " ".join(path)
    if isinstance(command, click.Group):
        for name, child in command.commands.items():
            yield from _sections(child, (*path, name))
        return
    arguments = [p.metavar or f"{p.name.upper()}" for p in command.params if isinstance(p, click.Argument) and p.name]
    rest = " ".join(arguments)
    yield f"## {title}\n"
    yield f"    {title} [OPTIONS] {rest}".rstrip() + "\n"
    yield inspect.cleandoc(command.help or "") + "\n"
    shares = {p.name for p in command.params} >= SHARED
    options = [p for p in command.params if isinstance(p, click.Option) and not (shares and p.name in SHARED)]
    if shares:
        yield "Takes the options of every command.\n"
    if options:
        yield (
            "\n".join(["| option | environment variable | |", "|---|---|---|", *(_row(o, path) for o in options)])
            + "\n"
        )


def _row(option: click.Option, path: tuple[str, ...]) -> str:
    names = ", ".join(f"`{name}`" for name in option.opts)
    if not option.is_flag:
        names = f"{names} {_value(option)}"
    variable = option.envvar or f"{'_'.join(path).replace('-', '_').upper()}_{(option.name or '').upper()}"
    default = option.default if option.show_default is True else option.show_default
    note = f" Default: {default}." if default and not option.is_flag else ""
    return f"| {names} | `{variable}` | {option.help}{note} |"


def _value(option: click.Option) -> str:
    if option.metavar:
        return option.metavar
    if isinstance(option.type, click.Choice):
        return "\\|".join(str(choice) for choice in option.type.choices)
    return "NUMBER" if isinstance(option.type, click.IntRange) else "TEXT"


def main() -> int:
    """Write the pages, or with --check only tell whether they are up to date."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; exit code 1 if a page is out of date")
    arguments = parser.parse_args()
    stale = [
        _is_stale(REFERENCE / page, reference(*source), write=not arguments.check) for page, source in PAGES.items()
    ]
    return int(arguments.check and any(stale))


def _is_stale(page: Path, described: str, *, write: bool) -> bool:
    known = page.read_text("utf-8")
    head, mark, _ = known.partition(MARK)
    if not mark:
        sys.exit(f"{page} has no line {MARK!r}")
    new = f"{head}{MARK}\n{described.rstrip()}\n"
    if write:
        page.write_text(new, "utf-8")
    return new != known


if __name__ == "__main__":
    sys.exit(main())
