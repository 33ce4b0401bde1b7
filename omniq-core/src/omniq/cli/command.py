"""How the commands are made: options with environment variables, `--json`, and an application that is open."""

from __future__ import annotations

import asyncio
import functools
from typing import TYPE_CHECKING, Any, Concatenate, NamedTuple, ParamSpec

import attrs
import click
from click.core import ParameterSource

from omniq.cli.output import Output
from omniq.cli.target import Target, store_options

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from omniq.app import AsyncOmniQ
    from omniq.cli.exits import ExitCode

__all__ = ["Session", "group", "json_option", "option", "plain_command", "store_command"]

P = ParamSpec("P")

option = functools.partial(click.option, show_envvar=True)
"""`click.option` whose help names its environment variable."""

json_option = option("--json", "as_json", is_flag=True, envvar="OMNIQ_JSON", help="Print JSON and nothing else.")


class Session(NamedTuple):
    """What a command works with.

    Attributes:
        app: The application; it connects at its first use.
        out: Where the answer goes.
        target: Which store was asked for.
    """

    app: AsyncOmniQ
    out: Output
    target: Target


def group(name: str, summary: str) -> click.Group:
    """Return a group of commands."""
    return click.Group(name, help=summary, no_args_is_help=True)


def plain_command(
    name: str, *, parent: click.Group | None = None
) -> Callable[[Callable[Concatenate[Target, Output, P], Awaitable[ExitCode | None]]], click.Command]:
    """Make a command of a coroutine function that gets the target, the output and its own options.

    What the function returns is the exit code; None is success.

    Args:
        name: What the command is called.
        parent: The group that it belongs to.
    """

    def decorate(func: Callable[Concatenate[Target, Output, P], Awaitable[ExitCode | None]]) -> click.Command:
        @functools.wraps(func)
        def run(**parameters: Any) -> None:
            context = click.get_current_context()
            out = Output(as_json=parameters.pop("as_json"))
            call: Any = functools.partial(func, _target(context, parameters), out, **parameters)
            context.exit(asyncio.run(call()) or 0)

        made = click.command(name)(store_options(json_option(run)))
        if parent is not None:
            parent.add_command(made)
        return made

    return decorate


def store_command(
    name: str, *, parent: click.Group | None = None
) -> Callable[[Callable[Concatenate[Session, P], Awaitable[ExitCode | None]]], click.Command]:
    """Make a command of a coroutine function that gets a `Session` with an application, and its own options.

    What the function returns is the exit code; None is success.

    Args:
        name: What the command is called.
        parent: The group that it belongs to.
    """

    def decorate(func: Callable[Concatenate[Session, P], Awaitable[ExitCode | None]]) -> click.Command:
        @functools.wraps(func)
        async def serve(target: Target, out: Output, /, *args: P.args, **kwargs: P.kwargs) -> ExitCode | None:
            from omniq.cli.applications import opened

            async with opened(target) as app:
                return await func(Session(app=app, out=out, target=target), *args, **kwargs)

        return plain_command(name, parent=parent)(serve)

    return decorate


def _target(context: click.Context, parameters: dict[str, Any]) -> Target:
    """Return what the store options say; one on the command line overrules those of the environment."""
    names = [field.name for field in attrs.fields(Target)]
    given = {name: parameters.pop(name) for name in names}
    typed = {name for name in names if context.get_parameter_source(name) is ParameterSource.COMMANDLINE}
    return Target(**{name: value for name, value in given.items() if not typed or name in typed})
