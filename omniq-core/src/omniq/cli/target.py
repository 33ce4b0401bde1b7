"""Which store a command works on: the options that every command shares."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import attrs
import click

from omniq.config import Settings
from omniq.models.config import OmniQConfig

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Target", "store_options"]

F = TypeVar("F", bound="Callable[..., Any]")


@attrs.frozen(kw_only=True)
class Target:
    """What the store options said; all None means the environment, or else the default store.

    Attributes:
        app: `module:app`.
        backend: The name of a backend, for all four roles.
        url: Where its store is.
        config: A YAML file.
        base_dir: The folder of default stores.
    """

    app: str | None = None
    backend: str | None = None
    url: str | None = None
    config: Path | None = None
    base_dir: Path | None = None

    def __attrs_post_init__(self) -> None:
        """Refuse options that contradict each other."""
        direct = [f"--{name.replace('_', '-')}" for name in ("backend", "url", "base_dir") if getattr(self, name)]
        ways = [way for way, given in (("--app", self.app), ("--config", self.config)) if given] + direct[:1]
        if len(ways) > 1:
            raise click.UsageError(f"{' and '.join(ways)} both say where the store is. Give one of them")

    def configuration(self) -> OmniQConfig | None:
        """Return the configuration that the options describe; None if they say nothing or name an application."""
        if self.config is not None:
            return OmniQConfig.from_yaml(self.config)
        given: dict[str, Any] = {}
        if self.base_dir is not None:
            given["base_dir"] = self.base_dir
        backend = self.backend or (_backend_of(self.url) if self.url else None)
        if backend is not None:
            given |= {"backend": backend, "url": self.url}
        return Settings(**given).to_config() if given else None


def _backend_of(url: str) -> str:
    """Return the backend that the url alone means to an application."""
    from omniq.app.configuration import to_config

    meant = to_config(url, None, None).task_queue_backend
    return "sqlite" if meant is None else meant.backend_type


def _shown(text: str, variable: str) -> str:
    return f"{text}  [env var: {variable}]"


def store_options(func: F) -> F:
    """Add the options that say which store is meant."""
    # The configuration reads these variables itself, with its own precedence; click must not turn them into options.
    options = [
        click.option(
            "--app",
            metavar="MODULE:APP",
            envvar="OMNIQ_APP",
            show_envvar=True,
            help="The application whose stores are meant.",
        ),
        click.option(
            "--config",
            metavar="FILE",
            type=click.Path(dir_okay=False, path_type=Path),
            envvar="OMNIQ_CONFIG",
            show_envvar=True,
            help="A YAML file with the configuration.",
        ),
        click.option(
            "--backend",
            metavar="NAME",
            allow_from_autoenv=False,
            help=_shown("The backend of all four roles.", "OMNIQ_BACKEND"),
        ),
        click.option(
            "--url",
            allow_from_autoenv=False,
            help=_shown("Where its store is, such as sqlite:///omniq.db.", "OMNIQ_TASK_QUEUE_URL"),
        ),
        click.option(
            "--base-dir",
            metavar="FOLDER",
            type=click.Path(file_okay=False, path_type=Path),
            allow_from_autoenv=False,
            help=_shown("The folder of the default stores.", "OMNIQ_BASE_DIR"),
        ),
    ]
    for add in reversed(options):
        func = add(func)
    return func
