"""The options that several commands have, and what they mean."""

from __future__ import annotations

import sys
from difflib import get_close_matches
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from omniq_conformance.discovery import find_harness
from omniq_conformance.harness import Harness
from omniq_conformance.outcomes import HarnessError, named

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["as_json_option", "backend_options", "harness_of", "option"]

F = TypeVar("F", bound="Callable[..., Any]")


def option(name: str, **settings: Any) -> Callable[[F], F]:
    """Return an option with the environment variable `OMNIQ_CONFORMANCE_<NAME>`, the same one in all commands."""
    variable = f"OMNIQ_CONFORMANCE_{name.strip('-').replace('-', '_').upper()}"
    return click.option(name, envvar=variable, show_envvar=True, **settings)


def backend_options(command: F) -> F:
    """Add `--backend` and `--url`."""
    backend = option(
        "--backend",
        required=True,
        metavar="NAME",
        help="The backend: the name of its entry point, or module:Class for a harness of your own.",
    )
    url = option("--url", metavar="URL", help="Which store or server to use, instead of one that the harness starts.")
    return backend(url(command))


as_json_option: Callable[[Any], Any] = click.option(
    "--json",
    "as_json",
    is_flag=True,
    envvar="OMNIQ_CONFORMANCE_JSON",
    show_envvar=True,
    help="Print one JSON document and nothing else on standard output.",
)


def harness_of(backend: str, url: str | None) -> Harness:
    """Make the harness of a backend; the working directory is on the import path.

    Raises:
        UsageError: There is none of this name, or it cannot be imported.
        HarnessError: Its constructor raised.
    """
    here = str(Path.cwd())  # a console script has its own folder there, where `python -m` has the working directory
    if here not in sys.path and "" not in sys.path:
        sys.path.insert(0, here)
    try:
        _check_class(backend)
        return find_harness(backend, url)
    except ImportError as error:
        raise click.UsageError(f"The harness of {backend!r} cannot be imported: {error}") from error
    except (TypeError, ValueError) as error:
        raise click.UsageError(f"--backend {backend}: {error}") from error
    except Exception as error:
        msg = f"Making the harness of {backend!r} raised {named(error)}"
        raise HarnessError(msg) from error


def _check_class(backend: str) -> None:
    """Refuse `module:Class` where the module has no such class, with what it has."""
    module_name, colon, name = backend.partition(":")
    if not colon:
        return
    module = import_module(module_name)
    if not hasattr(module, name):
        kinds = [key for key, value in vars(module).items() if isinstance(value, type) and Harness in value.__mro__[1:]]
        close = get_close_matches(name, kinds, 1)
        hint = f" Did you mean {close[0]!r}?" if close else f" Its harnesses: {', '.join(kinds) or 'none'}."
        raise ValueError(f"The module {module_name!r} has no {name!r}.{hint}")
