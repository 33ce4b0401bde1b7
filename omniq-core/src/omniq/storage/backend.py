"""What a backend plugin tells about itself, and what it is given to make its storages from."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar, cast

import attrs

from omniq.models.config import Role
from omniq.models.redaction import redacted_repr

__all__ = ["BACKEND_API", "BackendConfig", "BackendInfo"]

BACKEND_API = (1, 0)
"""Version (major, minor) of the API between the core and its backends.

The minor number grows when something is added that older backends need not know, the major number when they must
change.
"""

T = TypeVar("T")


@attrs.frozen(kw_only=True)
class BackendInfo:
    """What a backend is, known without connecting or importing its driver.

    Attributes:
        name: The name of its entry point, which is the `backend_type` of configurations.
        distribution: What pip installs, such as `omniq-redis`.
        roles: The roles that it offers; it implements the creation hook of each.
        api_version: The `BACKEND_API` that it was written for, as literal numbers.
        default_url: Its default store. A relative path (`omniq.db`) goes into the application's `base_dir`. None if it
            has no such thing.
        options: The attrs class of its options, as `omniq.storage.options.parse_options` takes it.
        description: One line for `omniq backend list`.
    """

    name: str
    distribution: str
    roles: frozenset[Role] = attrs.field(converter=frozenset)
    api_version: tuple[int, int]
    default_url: str | None = None
    options: type | None = None
    description: str = ""


@attrs.frozen(kw_only=True, eq=False)
class BackendConfig:
    """What a creation hook receives. All roles that name the same type, url and options receive the same object.

    Attributes:
        backend_type: The name that the configuration used.
        url: Where the store is: what was configured, or else the default store inside the application's `base_dir`.
            None if the options say where, or if the backend has no default store.
        options: The backend's options as they were configured, unchecked.
        base_dir: The application's folder for default stores; `url` has it already.
        project_name: Separates the projects that share a server.
    """

    backend_type: str
    url: str | None = attrs.field(default=None, repr=redacted_repr)
    options: Mapping[str, Any] = attrs.field(factory=dict, repr=redacted_repr)
    base_dir: Path | None = None
    project_name: str = "omniq"
    _lasting: dict[str, object] = attrs.field(factory=dict, repr=False)
    _shared: dict[str, object] = attrs.field(init=False, factory=dict, repr=False)
    # Reentrant, because making one shared object may need another.
    _lock: threading.RLock = attrs.field(init=False, factory=threading.RLock, repr=False)

    def share(self, key: str, make: Callable[[], T]) -> T:
        """Return the object of this key, made by the first call; how the roles of one store share a connection.

        Safe from several threads: `make` runs once. If it raises, nothing is kept and the next call tries again.

        Args:
            key: Names the object among those of this configuration.
            make: Makes it.
        """
        with self._lock:
            if key not in self._shared:
                self._shared[key] = make()
            return cast("T", self._shared[key])

    def keep(self, key: str, make: Callable[[], T]) -> T:
        """Return the object of this key, which lives as long as the application and not only until its stores close.

        Every event loop of an application opens its stores anew; data that is nowhere but in this process is kept
        here. An object that is not kept, because another thread was faster, is dropped.

        Args:
            key: Names the object among those of this store.
            make: Makes it.
        """
        return cast("T", self._lasting[key] if key in self._lasting else self._lasting.setdefault(key, make()))
