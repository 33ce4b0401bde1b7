"""Write the part of docs/reference/cli.md that describes each command, from the commands themselves.

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

if TYPE_CHECKING:
    from collections.abc import Iterator

PAGE = Path(__file__).resolve().parents[1] / "docs" / "reference" / "cli.md"
MARK = "<!-- written by tools/cli_reference.py from here on -->\n"
SHARED = {"app", "config", "backend", "url", "base_dir", "as_json"}


def reference() -> str:
    """Return the description of every command of the core."""
    context = click.Context(cli, info_name="omniq")
    sections = []
    for name in COMMANDS:
        command = cli.get_command(context, name)
        if command is not None:
            sections += _sections(command, ("omniq", name))
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
    variable = option.envvar or f"{'_'.join(path).upper()}_{(option.name or '').upper()}"
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
    """Write the page, or with --check only tell whether it is up to date."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; exit code 1 if the page is out of date")
    arguments = parser.parse_args()
    known = PAGE.read_text("utf-8")
    head, mark, _ = known.partition(MARK)
    if not mark:
        print(f"{PAGE} has no line {MARK!r}", file=sys.stderr)
        return 1
    new = f"{head}{MARK}\n{reference().rstrip()}\n"
    if arguments.check:
        return int(new != known)
    PAGE.write_text(new, "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
