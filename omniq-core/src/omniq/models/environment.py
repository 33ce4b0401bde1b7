"""Every environment variable that configures the application, in one table."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NamedTuple

from omniq.models.faults import Fault, closest

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["ENVIRONMENT", "EnvironmentVariable", "misspelt", "read"]

PREFIX = "OMNIQ_"
_NEAR = 0.85
_COMMANDS = tuple(
    f"{PREFIX}{command}_" for command in ("BACKUP", "CONFIG", "DEMO", "DOCTOR", "ENQUEUE", "TEST", "WEB", "WORKER")
)


class EnvironmentVariable(NamedTuple):
    """One variable.

    Attributes:
        name: Its name.
        setting: The field of `OmniQConfig` that it fills, or an empty string.
        description: What it means, for the documentation.
    """

    name: str
    setting: str
    description: str


def _role(prefix: str, setting: str, role: str, fallback: str) -> tuple[EnvironmentVariable, EnvironmentVariable]:
    return (
        EnvironmentVariable(f"{prefix}_TYPE", setting, f"Backend of the {role}. Unset: {fallback}"),
        EnvironmentVariable(f"{prefix}_URL", setting, f"Where the {role} is. Unset: that backend's default store"),
    )


_QUEUE = "the task queue's backend"
_DURATION = "Seconds, or text such as 24h; none means for ever"

ENVIRONMENT: tuple[EnvironmentVariable, ...] = (
    EnvironmentVariable(
        "OMNIQ_BACKEND", "task_queue_backend", "Stands for an unset OMNIQ_TASK_QUEUE_TYPE. Unset: sqlite"
    ),
    *_role("OMNIQ_TASK_QUEUE", "task_queue_backend", "task queue", "OMNIQ_BACKEND, then sqlite"),
    *_role("OMNIQ_RESULT_STORAGE", "result_storage_backend", "result storage", _QUEUE),
    *_role("OMNIQ_EVENT_STORAGE", "event_storage_backend", "event storage", _QUEUE),
    *_role("OMNIQ_SCHEDULE_STORAGE", "schedule_storage_backend", "schedule storage", _QUEUE),
    EnvironmentVariable("OMNIQ_BASE_DIR", "base_dir", "Folder of the default stores omniq.db and omniq_data/"),
    EnvironmentVariable("OMNIQ_PROJECT_NAME", "project_name", "Separates projects that share a server"),
    EnvironmentVariable("OMNIQ_DEFAULT_TTL", "default_ttl", f"How long results are kept. {_DURATION}"),
    EnvironmentVariable("OMNIQ_LOG_LEVEL", "log_level", "CRITICAL, ERROR, WARNING, INFO or DEBUG"),
    EnvironmentVariable("OMNIQ_TASK_RETENTION", "task_retention", f"How long finished tasks are listed. {_DURATION}"),
    EnvironmentVariable("OMNIQ_EVENT_RETENTION", "event_retention", f"How long events are kept. {_DURATION}"),
    EnvironmentVariable("OMNIQ_SERIALIZER", "serializer", "json, msgpack or pickle"),
    EnvironmentVariable("OMNIQ_SIGNING_KEY", "signing_key", "Secret of at least 16 bytes that signs pickled data"),
    EnvironmentVariable("OMNIQ_ALLOWED_MODULES", "allowed_modules", "Modules with commas between them"),
    EnvironmentVariable("OMNIQ_DEFAULT_QUEUE", "default_queue", "The queue of tasks that name none"),
    EnvironmentVariable("OMNIQ_DISABLED_PLUGINS", "", "Names of backends and plugins that are not to be loaded"),
)


def read(environ: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the OMNIQ_* variables that are set to something; empty text is as good as unset.

    Args:
        environ: Instead of `os.environ`.
    """
    found = os.environ if environ is None else environ
    return {name: value.strip() for name, value in found.items() if name.startswith(PREFIX) and value.strip()}


def misspelt(variables: Mapping[str, str]) -> list[Fault]:
    """Return a fault for every variable that is nearly, but not quite, one of the table.

    A misspelt OMNIQ_TASK_QUEUE_TYPE would otherwise put tasks silently into another store. Names that are like none
    of the table, and those of the command line's options, belong to somebody else.
    """
    known = {variable.name.removeprefix(PREFIX): variable.name for variable in ENVIRONMENT}
    faults = []
    for name in sorted(variables):
        rest = name.removeprefix(PREFIX)
        if rest in known or name.startswith(_COMMANDS):
            continue
        meant = closest(rest, known, near=_NEAR)
        if meant is not None:
            faults.append(Fault(name, f"unknown variable. Did you mean {known[meant]}? Rename it or unset it"))
    return faults
