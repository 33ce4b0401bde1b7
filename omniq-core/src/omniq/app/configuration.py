"""The ways to say how an application is configured."""

from __future__ import annotations

import os
import re
from typing import Protocol, TypeAlias

from omniq.config import Settings
from omniq.errors import ConfigError
from omniq.models.config import OmniQConfig
from omniq.models.redaction import show

__all__ = ["Configurator", "GivenSettings", "to_config"]

GivenSettings: TypeAlias = Settings | OmniQConfig | str | os.PathLike[str]
"""Settings, a configuration, or where the store is: `tasks.db`, `redis://localhost:6379/0`, `memory://`."""


class Configurator(Protocol):
    """What can say how an application is configured, such as `SQLiteBackend("tasks.db")`."""

    def to_config(self) -> OmniQConfig:
        """Return the configuration."""
        ...


_SCHEME = re.compile(r"([a-z][a-z0-9]+)(?:\+[a-z0-9]+)?:", re.IGNORECASE)
_BACKENDS = {"postgresql": "postgres", "rediss": "redis", "tls": "nats"}
_PATHS = "sqlite"


def to_config(settings: GivenSettings | None, config: OmniQConfig | None, backend: Configurator | None) -> OmniQConfig:
    """Return the configuration, with what it leaves out filled in from the environment.

    Raises:
        ConfigError: Two of the arguments are given, one is something else, or a variable is invalid.
    """
    given = {
        name: value
        for name, value in (("settings", settings), ("config", config), ("backend", backend))
        if value is not None
    }
    if len(given) > 1:
        msg = f"{' and '.join(given)} are given; each of them is the whole configuration. Give one."
        raise ConfigError(msg)
    return _convert(*next(iter(given.items()), ("config", OmniQConfig()))).with_environment()


def _convert(name: str, value: object) -> OmniQConfig:
    if isinstance(value, OmniQConfig):
        return value
    if isinstance(value, str | os.PathLike):
        return _at(os.fspath(value)).to_config()
    convert = None if isinstance(value, type) else getattr(value, "to_config", None)
    converted = convert() if callable(convert) else None
    if isinstance(converted, OmniQConfig):
        return converted
    msg = (
        f"{name}: {show(value)} is no configuration. Give Settings(...), an OmniQConfig, the url of a store, or "
        "backend=SQLiteBackend(...)."
    )
    raise ConfigError(msg)


def _at(url: str) -> Settings:
    """Return the settings of one store for everything; a path without a scheme is SQLite's."""
    match = _SCHEME.match(url)
    # A single letter is a drive, not a scheme, and does not match.
    scheme = match[1].lower() if match else _PATHS
    return Settings(backend=_BACKENDS.get(scheme, scheme), url=url)
