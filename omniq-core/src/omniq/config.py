"""The flat way to configure an application: one backend for everything."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

import attrs

from omniq.models.config import OmniQConfig, StorageBackendConfig
from omniq.models.parsing import SETTING, lenient, parse_name, parse_options, parse_url, unset
from omniq.models.redaction import redacted_repr
from omniq.models.settings import ApplicationSettings

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping

__all__ = ["Settings"]


def _backend(value: str) -> str:
    return lenient(parse_name, value)


def _url(value: str | os.PathLike[str] | None) -> str | None:
    return lenient(parse_url, value)


def _options(value: Mapping[str, Any] | None) -> dict[str, Any] | None:
    return lenient(parse_options, value)


@attrs.frozen
class Settings(ApplicationSettings):
    """One backend for all four roles, and the settings of `ApplicationSettings`.

    `Settings(backend="sqlite", base_dir="/var/lib/omniq")` keeps everything in `/var/lib/omniq/omniq.db`.

    Attributes:
        backend: Name of an installed backend. All four roles use it. Left out, each role falls back to its environment
            variable, then to the task queue's backend, then to SQLite.
        url: Where the store is; None is the backend's default store, inside `base_dir` if that is given.
        options: The backend's own options. Its repr hides secrets.
    """

    backend: str = attrs.field(default=unset("sqlite"), converter=_backend, metadata=SETTING)
    url: str | None = attrs.field(default=None, converter=_url, metadata=SETTING, repr=redacted_repr)
    options: dict[str, Any] | None = attrs.field(default=None, converter=_options, metadata=SETTING, repr=redacted_repr)
    _origin: OmniQConfig | None = attrs.field(init=False, default=None, repr=False, eq=False)

    @classmethod
    def from_env(cls, environ: Mapping[str, str] | None = None) -> Self:
        """Make settings from the OMNIQ_* variables.

        The variables of single roles count too, although these settings show the task queue's backend only.

        Args:
            environ: Instead of `os.environ`.

        Raises:
            ConfigError: A variable is invalid or misspelt; the message lists all faults.
        """
        origin = OmniQConfig.from_env(environ)
        shared = {field.name for field in attrs.fields(ApplicationSettings) if field.init}
        values = {name: value for name, value in origin.given().items() if name in shared}
        queue = origin.task_queue_backend
        if queue is not None:
            values |= {"backend": queue.backend_type, "url": queue.url}
        settings = cls(**values)
        object.__setattr__(settings, "_origin", origin)
        return settings

    def to_config(self) -> OmniQConfig:
        """Return the same as an `OmniQConfig`, in which all four roles name this backend if it was given.

        A url or options without a backend are SQLite's.
        """
        if self._origin is not None:
            return self._origin
        given = self.given()
        backend = given.pop("backend", "sqlite" if self.url or self.options else None)
        url, options = given.pop("url"), given.pop("options")
        if backend is not None:
            return OmniQConfig.single(StorageBackendConfig(backend, url, options), **given)
        return OmniQConfig(**given)
