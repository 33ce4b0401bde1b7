"""Decides which backend keeps which role, and remembers why."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs

from omniq.models.config import OmniQConfig, Role, StorageBackendConfig
from omniq.models.redaction import redacted_repr
from omniq.models.settings import DEFAULT
from omniq.storage.options import locators

if TYPE_CHECKING:
    from collections.abc import Callable

    from omniq.storage.backend import BackendInfo

__all__ = ["Plan", "RolePlan", "resolve"]

FALLBACK_TYPE = "sqlite"
"""What keeps a task queue that nothing configures."""

OPTIONS = "options"


@attrs.frozen(kw_only=True)
class RolePlan:
    """The backend of one role, and where each part of that came from.

    Attributes:
        role: The role.
        backend_type: The name of the backend.
        url: Where the store is; None if the options say where, or the backend has no default store.
        options: The backend's options.
        type_source: `explicit configuration`, a file, a variable, `task queue` or `default`.
        url_source: The same for the url; `options` if they say where; empty if there is none.
        options_source: The same for the options; empty if there are none.
    """

    role: Role
    backend_type: str
    url: str | None = attrs.field(default=None, repr=redacted_repr)
    options: Mapping[str, Any] = attrs.field(factory=dict, repr=redacted_repr)
    type_source: str = DEFAULT
    url_source: str = ""
    options_source: str = ""

    @property
    def store(self) -> tuple[str, str | None, Mapping[str, Any]]:
        """What roles have in common that share one connection."""
        return self.backend_type, self.url, self.options


@attrs.frozen(kw_only=True)
class Plan:
    """The backends of all four roles, in the order of `Role`, and the configuration with its environment.

    Attributes:
        config: The effective configuration.
        roles: One entry a role.
        lasting: What backends keep as long as the plan is in use, by the first role of each store.
    """

    config: OmniQConfig
    roles: tuple[RolePlan, ...]
    lasting: dict[Role, dict[str, object]] = attrs.field(init=False, factory=dict, eq=False, repr=False)

    def role(self, role: Role) -> RolePlan:
        """Return the entry of one role."""
        return next(entry for entry in self.roles if entry.role is role)


def resolve(
    config: OmniQConfig | None = None,
    *,
    environ: Mapping[str, str] | None = None,
    info_of: Callable[[str, Role], BackendInfo | None] | None = None,
) -> Plan:
    """Decide for each role: explicit configuration, then its variable, then the task queue's backend, then SQLite.

    A role that falls back to the task queue's backend takes the very same type, url and options. A type without url
    takes its backend's default store, never another role's url.

    Args:
        config: None stands for the environment alone.
        environ: Instead of `os.environ`.
        info_of: Tells what is known about a backend that is to keep a role; without it, no default store is filled in.

    Raises:
        ConfigError: A variable is invalid or misspelt.
    """
    effective = (config or OmniQConfig()).with_environment(environ)
    entries = []
    for role in Role:
        own = effective.backend(role)
        source = DEFAULT if role is Role.TASK_QUEUE else Role.TASK_QUEUE.value
        sources = (source, source)
        if own is not None:
            sources = effective.source_of(role.setting), effective.source_of(f"{role.setting}.url")
        backend = own or effective.task_queue_backend or StorageBackendConfig(FALLBACK_TYPE)
        info = info_of(backend.backend_type, role) if info_of else None
        entries.append(_entry(role, backend, sources, effective.base_dir, info))
    return Plan(config=effective, roles=tuple(entries))


def _entry(
    role: Role,
    backend: StorageBackendConfig,
    sources: tuple[str, str],
    base_dir: Path | None,
    info: BackendInfo | None,
) -> RolePlan:
    options = backend.config or {}
    source, url_source = sources
    url = backend.url
    if url is None:
        located = any(options.get(name) is not None for name in locators(info.options if info else None))
        url_source = OPTIONS if located else ""
        if not located and info is not None and info.default_url is not None:
            url, url_source = _inside(base_dir, info.default_url), DEFAULT
    return RolePlan(
        role=role,
        backend_type=backend.backend_type,
        url=url,
        options=options,
        type_source=source,
        url_source=url_source,
        options_source=source if options else "",
    )


def _inside(base_dir: Path | None, default_url: str) -> str:
    """Put a default store that is a relative path into the folder, if there is one."""
    if base_dir is None or "://" in default_url or Path(default_url).is_absolute():
        return default_url
    return str(base_dir / default_url)
