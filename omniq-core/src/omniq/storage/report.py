"""What `omniq config show` prints: the resolved plan, where each value came from, and no secret."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, cast

import attrs

from omniq.errors import OmniQError
from omniq.models.redaction import redact
from omniq.models.settings import ApplicationSettings
from omniq.storage.plugins import load_backend
from omniq.storage.resolution import resolve

if TYPE_CHECKING:
    from omniq.models.config import OmniQConfig, Role
    from omniq.storage.backend import BackendInfo

__all__ = ["ConfigReport", "RoleRow", "SettingRow", "report_config"]


@attrs.frozen(kw_only=True)
class RoleRow:
    """One role as it is shown; the url and the options are redacted.

    Attributes:
        role: The role's name, such as `task queue`.
        backend_type: The name of the backend.
        url: Where the store is, or None.
        options: The backend's options.
        type_source: Where the type came from.
        url_source: Where the url came from, or empty.
        options_source: Where the options came from, or empty.
        problem: Why the backend cannot be used, or empty.
    """

    role: str
    backend_type: str
    url: str | None
    options: Mapping[str, object]
    type_source: str
    url_source: str
    options_source: str
    problem: str = ""


@attrs.frozen(kw_only=True)
class SettingRow:
    """One other setting as it is shown, redacted."""

    name: str
    value: object
    source: str


@attrs.frozen(kw_only=True)
class ConfigReport:
    """The whole configuration as it is shown."""

    roles: tuple[RoleRow, ...]
    settings: tuple[SettingRow, ...]


def report_config(config: OmniQConfig | None = None, *, environ: Mapping[str, str] | None = None) -> ConfigReport:
    """Describe what a configuration resolves to. A backend that cannot be used is described with its problem.

    Args:
        config: None stands for the environment alone.
        environ: Instead of `os.environ`.

    Raises:
        ConfigError: A variable is invalid or misspelt.
    """
    problems: dict[Role, str] = {}

    def info_of(name: str, role: Role) -> BackendInfo | None:
        try:
            return load_backend(name, role).info
        except OmniQError as error:
            problems[role] = str(error)
            return None

    plan = resolve(config, environ=environ, info_of=info_of)
    roles = tuple(
        RoleRow(
            role=entry.role.value,
            backend_type=entry.backend_type,
            url=cast("str | None", redact(entry.url)),
            options=cast("Mapping[str, object]", redact(entry.options)),
            type_source=entry.type_source,
            url_source=entry.url_source,
            options_source=entry.options_source,
            problem=problems.get(entry.role, ""),
        )
        for entry in plan.roles
    )
    names = [field.name for field in attrs.fields(ApplicationSettings) if field.init]
    settings = tuple(
        SettingRow(name=name, value=redact(getattr(plan.config, name), name), source=plan.config.source_of(name))
        for name in names
    )
    return ConfigReport(roles=roles, settings=settings)
