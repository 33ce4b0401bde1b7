"""What reaches objects: file systems of fsspec, which are kept, because making one takes long."""

from __future__ import annotations

import json
import os
import threading
import time
from typing import TYPE_CHECKING, Any, TypeVar

import attrs

from omniq.errors import ConfigError
from omniq_file.failures import is_away

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["S3", "Client", "client_of", "tried"]

T = TypeVar("T")

S3 = frozenset({"s3", "s3a"})

_CALM = {"connect_timeout": 5, "read_timeout": 5, "retries": {"total_max_attempts": 1}}
"""One try, because three layers that each try several times would take many minutes; `tried` counts them."""
_DEADLINE = 4.0
"""Seconds after which nothing is tried again: what failed by then was silent, and more of it would block the rest."""
_TRIES = 6
_KEPT = 8
_making = threading.Lock()
_made: dict[str, Client] = {}


@attrs.define
class Client:
    """A file system. It serves every store and every thread.

    Attributes:
        fs: As fsspec has it.
        conditional: Buckets in which conditions are minded.
        reading: Arguments of `cat_file`: S3 is asked for no size first.
        skew: By how many milliseconds the store's clock is ahead; None as long as nobody looked.
    """

    fs: Any
    conditional: set[str] = attrs.field(factory=set)
    reading: dict[str, Any] = attrs.field(factory=dict)
    skew: int | None = None


def client_of(protocol: str, options: dict[str, Any]) -> Client:
    """Return what reaches the stores of a protocol.

    Raises:
        ConfigError: No such protocol is known, or its package is missing.
    """
    import fsspec

    if protocol == "memory":
        return Client(fsspec.filesystem("memory"))
    given = dict(options)
    if protocol in S3:
        given["config_kwargs"] = {**_CALM, **(options.get("config_kwargs") or {})}
        given.setdefault("use_listings_cache", False)
    key = json.dumps([os.getpid(), protocol, given], sort_keys=True, default=repr)
    with _making:
        if key not in _made:
            while len(_made) >= _KEPT:
                del _made[next(iter(_made))]
            try:
                fs = fsspec.filesystem(protocol, skip_instance_cache=True, **given)
            except ImportError as error:
                needed = "pip install 'omniq-file[s3]'" if protocol in S3 else str(error)
                raise ConfigError(f"fsspec_uri: {protocol} needs another package: {needed}") from error
            except ValueError as error:
                raise ConfigError(f"fsspec_uri: fsspec cannot use {protocol!r}: {error}") from error
            made = Client(fs)
            if protocol in S3:
                _calm_down(fs)
                made = Client(fs, reading={"max_concurrency": 1})
            _made[key] = made
        return _made[key]


def _calm_down(fs: Any) -> None:
    """Have nothing tried again here, and no PUT ask first: that takes a round trip, and waits without a timeout."""
    from botocore.handlers import add_expect_header  # type: ignore[import-untyped,unused-ignore]

    fs.retries = 1
    fs.connect()
    fs.s3.meta.events.unregister("before-call.s3", add_expect_header)


def tried(call: Callable[[], T]) -> T:
    """Return the answer of a call that may be repeated; a store that is away for a moment is asked again."""
    deadline = time.monotonic() + _DEADLINE
    for number in range(1, _TRIES):
        try:
            return call()
        except Exception as error:
            if not is_away(error) or time.monotonic() > deadline:
                raise
        time.sleep(0.025 * 2**number)
    return call()
