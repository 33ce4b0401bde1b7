"""What a configuration can say about a memory store: its url, and nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from omniq.storage.options import parse_options
from omniq_memory.state import MemoryState, state_for

if TYPE_CHECKING:
    from omniq.storage.backend import BackendConfig

__all__ = ["MemoryOptions", "shared_state"]


@attrs.frozen(kw_only=True)
class MemoryOptions:
    """The memory backend has no options."""


def shared_state(config: BackendConfig) -> MemoryState:
    """Return the store of a configuration: the same one for all roles that were given this configuration.

    Raises:
        ConfigError: An option was given, or the url is not a memory url.
    """
    parse_options(MemoryOptions, attrs.evolve(config, url=None))
    return config.keep("state", lambda: state_for(config.url))
