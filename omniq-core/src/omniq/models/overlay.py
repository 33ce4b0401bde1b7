"""Fills in from the environment what a configuration leaves out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs

from omniq.models.config import OmniQConfig, Role, StorageBackendConfig
from omniq.models.environment import ENVIRONMENT, misspelt, read
from omniq.models.faults import Fault, invalid
from omniq.models.parsing import Refused
from omniq.models.settings import DEFAULT

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["overlay"]


def overlay(config: OmniQConfig, environ: Mapping[str, str] | None) -> tuple[dict[str, Any], dict[str, str]]:
    """Return the values that the environment adds to a configuration, and the variable that each came from.

    Args:
        config: Whatever was given in it explicitly is left alone.
        environ: Instead of `os.environ`.

    Raises:
        ConfigError: A variable is invalid or misspelt; the message lists all faults.
    """
    variables = read(environ)
    faults = misspelt(variables)
    values: dict[str, Any] = {}
    sources: dict[str, str] = {}
    for role in Role:
        if config.backend(role) is None:
            _add_role(role, variables, values, sources, faults)
    fields = attrs.fields_dict(OmniQConfig)
    roles = {role.setting for role in Role}
    for name, setting, _ in ENVIRONMENT:
        if name not in variables or not setting or setting in roles or config.source_of(setting) != DEFAULT:
            continue
        convert: Any = fields[setting].converter
        value = convert(variables[name])
        if isinstance(value, Refused):
            faults.append(Fault(name, value.message))
        else:
            values[setting] = value
            sources[setting] = name
    if faults:
        raise invalid("environment", faults)
    return values, sources


def _add_role(
    role: Role, variables: Mapping[str, str], values: dict[str, Any], sources: dict[str, str], faults: list[Fault]
) -> None:
    """Add the role's backend if its type is in the environment; a url alone would be ignored, so it is a fault."""
    names = [role.type_variable, "OMNIQ_BACKEND"] if role is Role.TASK_QUEUE else [role.type_variable]
    source = next((name for name in names if name in variables), None)
    url = variables.get(role.url_variable)
    if source is not None:
        values[role.setting] = StorageBackendConfig(variables[source], url)
        sources[role.setting] = source
        sources[f"{role.setting}.url"] = role.url_variable
    elif url is not None:
        message = f"is set, but {role.type_variable} is not, so nothing would use it. Set {role.type_variable} too"
        faults.append(Fault(role.url_variable, message))
