"""The options of the LMDB backend."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Self

import attrs

from omniq.storage.options import LOCATOR, parse_options, path_from_url

if TYPE_CHECKING:
    from omniq.storage.backend import BackendConfig

__all__ = ["LmdbOptions"]

_GIB = 1024**3


@attrs.frozen(kw_only=True)
class LmdbOptions:
    """What may stand in the `config` of an LMDB backend.

    Attributes:
        path: The file; usually given as the url.
        map_size: The most bytes that the store may grow to. It costs address space only.
        sync: Whether a commit waits for the disk; without it, a crash of the system may damage the file.
    """

    path: Path = attrs.field(default=Path("omniq.lmdb"), metadata=LOCATOR)
    map_size: int = attrs.field(default=_GIB, validator=attrs.validators.ge(1_048_576))
    sync: bool = True

    @classmethod
    def read(cls, config: BackendConfig) -> Self:
        """Read a configuration.

        Raises:
            ConfigError: Something in it is invalid.
        """
        return parse_options(cls, config, split_url=lambda url: {"path": path_from_url(url, "lmdb")})
