"""What `OmniQConfig` and the flat `Settings` have in common."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import attrs

from omniq.models.durations import DAY
from omniq.models.faults import Fault, invalid
from omniq.models.parsing import (
    SETTING,
    Refused,
    Unset,
    to_key,
    to_log_level,
    to_modules,
    to_name,
    to_path,
    to_seconds,
    unset,
)

__all__ = ["DEFAULT", "EXPLICIT", "ApplicationSettings"]

EXPLICIT = "explicit configuration"
DEFAULT = "default"


@attrs.frozen(kw_only=True)
class ApplicationSettings:
    """The settings that are not about one storage role. All of them are keywords.

    Attributes:
        project_name: Separates the projects that share a server; backends put it into their keys.
        default_ttl: Seconds that a result is kept after the end of its task, unless the task says otherwise
            (`result_ttl`); None keeps results for ever. Waiting work never expires by it. Given as seconds, a
            timedelta or text such as `24h`.
        log_level: CRITICAL, ERROR, WARNING, INFO or DEBUG.
        base_dir: Folder of the default stores (`omniq.db`, `omniq_data/`) of roles that name no url.
        task_retention: Seconds that a finished task stays listed; 0 removes it when it ends, None never.
        event_retention: Seconds that events are kept; None for ever.
        serializer: Name of the serializer of arguments and results: `json`, `msgpack` or `pickle`.
        signing_key: Secret of at least 16 bytes that signs pickled data; text is encoded as UTF-8.
        allowed_modules: Modules, with all below them, whose functions may run though they are not registered,
            besides the application's own package.
        default_queue: The queue of tasks that name none.
    """

    project_name: str = attrs.field(default=unset("omniq"), converter=to_name, metadata=SETTING)
    default_ttl: float | None = attrs.field(default=unset(DAY), converter=to_seconds, metadata=SETTING)
    log_level: str = attrs.field(default=unset("INFO"), converter=to_log_level, metadata=SETTING)
    base_dir: Path | None = attrs.field(default=unset(None), converter=to_path, metadata=SETTING)
    task_retention: float | None = attrs.field(default=unset(DAY), converter=to_seconds, metadata=SETTING)
    event_retention: float | None = attrs.field(default=unset(30 * DAY), converter=to_seconds, metadata=SETTING)
    serializer: str = attrs.field(default=unset("json"), converter=to_name, metadata=SETTING)
    signing_key: bytes | None = attrs.field(default=unset(None), converter=to_key, metadata=SETTING, repr=False)
    allowed_modules: tuple[str, ...] = attrs.field(default=unset(()), converter=to_modules, metadata=SETTING)
    default_queue: str = attrs.field(default=unset("default"), converter=to_name, metadata=SETTING)
    _unset: frozenset[str] = attrs.field(init=False, default=frozenset(), repr=False, eq=False)
    _sources: Mapping[str, str] = attrs.field(init=False, factory=dict, repr=False, eq=False)

    def __attrs_post_init__(self) -> None:
        """Put the defaults in for what was left out, and report all faults at once."""
        faults: list[Fault] = []
        left_out: set[str] = set()
        for field in attrs.fields(type(self)):
            value: Any = getattr(self, field.name)
            if isinstance(value, Unset):
                left_out.add(field.name)
                object.__setattr__(self, field.name, value.default)
            elif isinstance(value, Refused):
                faults.append(Fault(field.name, value.message))
        if faults:
            raise invalid(type(self).__name__, faults)
        object.__setattr__(self, "_unset", frozenset(left_out))

    def given(self) -> dict[str, Any]:
        """Return the settings that were not left out, by name."""
        return {
            field.name: getattr(self, field.name)
            for field in attrs.fields(type(self))
            if field.init and field.name not in self._unset
        }

    def source_of(self, name: str) -> str:
        """Tell where the value of a setting came from: a file, a variable, `explicit configuration` or `default`.

        Args:
            name: The field; a part of it, such as `task_queue_backend.url`, may have a source of its own.
        """
        found = self._sources.get(name)
        if found is not None:
            return found
        parent = name.rpartition(".")[0]
        if parent:
            return self.source_of(parent)
        return DEFAULT if name in self._unset else EXPLICIT
