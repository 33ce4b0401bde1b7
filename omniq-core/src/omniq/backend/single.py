"""What the single backends have in common."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from omniq.models.config import OmniQConfig, StorageBackendConfig
from omniq.models.redaction import redact, redact_text

if TYPE_CHECKING:
    import os

__all__ = ["SingleBackend"]


class SingleBackend:
    """One backend that keeps all four roles: `OmniQ(backend=SQLiteBackend("tasks.db"))`.

    It is a way to write a configuration. It holds no connection; whether the backend is installed shows when it is
    used.

    Args:
        url: Where the store is; None is the backend's default store.
        options: The backend's own options.

    Raises:
        ConfigError: The url is not text.
    """

    backend_type: ClassVar[str]

    __slots__ = ("_config",)

    def __init__(self, url: str | os.PathLike[str] | None = None, **options: Any) -> None:
        self._config = StorageBackendConfig(self.backend_type, url, options or None)

    @property
    def url(self) -> str | None:
        """Where the store is, or None for the backend's default store."""
        return self._config.url

    @property
    def options(self) -> dict[str, Any]:
        """The backend's own options."""
        return dict(self._config.config or {})

    def to_config(self) -> OmniQConfig:
        """Return a configuration in which all four roles name this backend."""
        return OmniQConfig.single(self._config)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, SingleBackend):
            return NotImplemented
        return self._config == other._config

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        parts = [] if self.url is None else [repr(redact_text(self.url))]
        parts += [f"{name}={redact(value, name)!r}" for name, value in self.options.items()]
        return f"{type(self).__name__}({', '.join(parts)})"
