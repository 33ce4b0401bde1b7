"""What an application is made of: four storage roles, a backend for each, and the settings around them."""

from __future__ import annotations

import os
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import Any, Self, cast

import attrs

from omniq.models.faults import Fault, invalid
from omniq.models.parsing import SETTING, Refused, lenient, parse_name, parse_options, parse_url
from omniq.models.redaction import redacted_repr, show
from omniq.models.settings import ApplicationSettings

__all__ = ["OmniQConfig", "Role", "StorageBackendConfig"]


class Role(StrEnum):
    """What a storage is for; the value is the name that error messages use."""

    TASK_QUEUE = "task queue"
    RESULT_STORAGE = "result storage"
    EVENT_STORAGE = "event storage"
    SCHEDULE_STORAGE = "schedule storage"

    @property
    def key(self) -> str:
        """The name in identifiers, such as `task_queue`."""
        return self.value.replace(" ", "_")

    @property
    def setting(self) -> str:
        """The field of `OmniQConfig`, such as `task_queue_backend`."""
        return f"{self.key}_backend"

    @property
    def type_variable(self) -> str:
        """The environment variable of the type, such as `OMNIQ_TASK_QUEUE_TYPE`."""
        return f"OMNIQ_{self.key.upper()}_TYPE"

    @property
    def url_variable(self) -> str:
        """The environment variable of the url, such as `OMNIQ_TASK_QUEUE_URL`."""
        return f"OMNIQ_{self.key.upper()}_URL"


def _parse_backend(value: object) -> StorageBackendConfig | None:
    if value is None or isinstance(value, StorageBackendConfig):
        return value
    msg = f"{show(value)} is not a backend. Give StorageBackendConfig(backend_type=...); from_dict() takes mappings"
    raise ValueError(msg)


def _type(value: str) -> str:
    return lenient(parse_name, value)


def _url(value: str | os.PathLike[str] | None) -> str | None:
    return lenient(parse_url, value)


def _options(value: Mapping[str, Any] | None) -> dict[str, Any] | None:
    return lenient(parse_options, value)


def _backend(value: StorageBackendConfig | None) -> StorageBackendConfig | None:
    return lenient(_parse_backend, value)


@attrs.frozen
class StorageBackendConfig:
    """Which backend keeps one role, and where.

    Attributes:
        backend_type: Name of an installed backend: `sqlite`, `memory`, `file`, `redis`, `postgres`, `nats`, ...
        url: Where the store is; None is the backend's default store.
        config: The backend's own options. Its repr hides secrets.
    """

    backend_type: str = attrs.field(converter=_type, metadata=SETTING)
    url: str | None = attrs.field(default=None, converter=_url, metadata=SETTING, repr=redacted_repr)
    config: dict[str, Any] | None = attrs.field(default=None, converter=_options, metadata=SETTING, repr=redacted_repr)

    def __attrs_post_init__(self) -> None:
        """Report all faults at once."""
        values = ((name, getattr(self, name)) for name in ("backend_type", "url", "config"))
        faults = [Fault(name, value.message) for name, value in values if isinstance(value, Refused)]
        if faults:
            raise invalid("StorageBackendConfig", faults)


@attrs.frozen
class OmniQConfig(ApplicationSettings):
    """The configuration of an application; `ApplicationSettings` has the fields beside the four backends.

    A role that is None falls back to its environment variable, then to the task queue's backend, then to SQLite.
    Other settings that are left out fall back to their environment variable, then to their default.

    Attributes:
        task_queue_backend: Keeps pending and active tasks.
        result_storage_backend: Keeps results.
        event_storage_backend: Keeps the lifecycle log.
        schedule_storage_backend: Keeps schedules.
    """

    task_queue_backend: StorageBackendConfig | None = attrs.field(default=None, converter=_backend)
    result_storage_backend: StorageBackendConfig | None = attrs.field(default=None, converter=_backend)
    event_storage_backend: StorageBackendConfig | None = attrs.field(default=None, converter=_backend)
    schedule_storage_backend: StorageBackendConfig | None = attrs.field(default=None, converter=_backend)
    _environment_read: bool = attrs.field(init=False, default=False, repr=False, eq=False)

    @classmethod
    def single(cls, backend: StorageBackendConfig, **settings: Any) -> Self:
        """Make a configuration in which all four roles name the same backend.

        Args:
            backend: The backend of every role.
            settings: The fields of `ApplicationSettings`.
        """
        return cls(backend, backend, backend, backend, **settings)

    @classmethod
    def from_dict(cls, mapping: Mapping[str, Any]) -> Self:
        """Make a configuration from nested mappings; the keys are the names of the fields.

        Raises:
            ConfigError: Something is invalid; the message lists all faults with their paths.
        """
        return cls._structured(mapping, "configuration", None)

    @classmethod
    def from_yaml(cls, path: str | os.PathLike[str]) -> Self:
        """Make a configuration from a YAML file; the keys are the names of the fields.

        Raises:
            ConfigError: The file cannot be read, or something in it is invalid; the message lists all faults.
        """
        from omniq.models.loading import read_yaml

        return cls._structured(read_yaml(Path(path)), f"configuration {os.fspath(path)}", os.fspath(path))

    @classmethod
    def from_env(cls, environ: Mapping[str, str] | None = None) -> Self:
        """Make a configuration from the OMNIQ_* variables alone.

        Args:
            environ: Instead of `os.environ`.

        Raises:
            ConfigError: A variable is invalid or misspelt; the message lists all faults.
        """
        return cls().with_environment(environ)

    def with_environment(self, environ: Mapping[str, str] | None = None) -> Self:
        """Return this configuration with what was left out filled in from the OMNIQ_* variables.

        What was given explicitly stays. A configuration that has its environment already is returned as it is.

        Args:
            environ: Instead of `os.environ`.

        Raises:
            ConfigError: A variable is invalid or misspelt; the message lists all faults.
        """
        if self._environment_read:
            return self
        from omniq.models.overlay import overlay

        values, sources = overlay(self, environ)
        config = type(self)(**{**self.given(), **values})
        object.__setattr__(config, "_sources", {**self._sources, **sources})
        object.__setattr__(config, "_environment_read", True)
        return config

    def backend(self, role: Role) -> StorageBackendConfig | None:
        """Return what is configured for the role, before any fallback."""
        return cast("StorageBackendConfig | None", getattr(self, role.setting))

    @classmethod
    def _structured(cls, mapping: object, subject: str, source: str | None) -> Self:
        from omniq.models.structuring import structure

        config = structure(mapping, cls, subject)
        if source is not None and isinstance(mapping, Mapping):
            object.__setattr__(config, "_sources", dict.fromkeys(map(str, mapping), source))
        return config
