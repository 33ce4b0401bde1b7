"""The options of the file backend."""

from __future__ import annotations

import re
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, Literal, Self

import attrs

from omniq.errors import ConfigError
from omniq.models.redaction import redacted_repr, show
from omniq.storage.options import LOCATOR, parse_options, path_from_url

if TYPE_CHECKING:
    from omniq.storage.backend import BackendConfig

__all__ = ["CONDITIONAL", "FileOptions"]

_REMOTE = re.compile(r"([a-z][a-z0-9+.-]+)://(.*)", re.IGNORECASE | re.DOTALL)
_LOCAL = frozenset({"file", "local"})
_DEFAULT = Path("omniq_data")

CONDITIONAL = frozenset({"memory", "s3", "s3a"})
"""Kinds of object stores whose conditional writes are known to be atomic."""


@attrs.frozen(kw_only=True)
class FileOptions:
    """What may stand in the `config` of a file backend.

    Attributes:
        base_dir: The folder; may also be given as the url. With `fsspec_uri`, the folder inside of that.
        serialization_format: How records are written: `json`, which people can read, `msgpack`, or `pickle` (arguments
            and results pickled and signed, the rest JSON). None is what the store has, and JSON for a new one.
        fsspec_uri: Such as `s3://bucket/folder`: keep the store there, through fsspec.
        storage_options: What fsspec takes for that kind of store, such as `key`, `secret` and `endpoint_url`.
        fsync: When writes wait for the disk: `always` before they are acknowledged, `batch` within about a second,
            `never`. Local only.
        signing_key: The secret that signs pickled data, at least 16 bytes; None takes OMNIQ_SIGNING_KEY.
        allow_network_fs: Open a folder on a network file system all the same; file locks are unreliable there.
        results_only: Keep an object for each result, and nothing else. That is how results are kept in any store but S3
            and `memory`; for those, say so where objects cannot be created on the condition that they are not there.
        poll_interval: Seconds between two looks of an idle worker at an object store, which cannot wake it.
    """

    base_dir: Path = attrs.field(default=_DEFAULT, metadata=LOCATOR)
    serialization_format: Literal["json", "msgpack", "pickle"] | None = None
    fsspec_uri: str | None = attrs.field(default=None, repr=redacted_repr, metadata=LOCATOR)
    storage_options: dict[str, Any] = attrs.field(factory=dict, repr=redacted_repr)
    fsync: Literal["always", "batch", "never"] = "batch"
    signing_key: str | None = attrs.field(default=None, repr=False)
    allow_network_fs: bool = False
    results_only: bool = False
    poll_interval: float = attrs.field(default=0.5, validator=[attrs.validators.ge(0.01), attrs.validators.le(30)])

    @classmethod
    def read(cls, config: BackendConfig) -> Self:
        """Read what a creation hook received.

        Raises:
            ConfigError: An option is unknown or invalid, or the url is none.
        """
        options = parse_options(cls, config, split_url=_split)
        uri = options.fsspec_uri
        if uri is None:
            if options.storage_options:
                raise ConfigError("storage_options: these are for fsspec, so give an fsspec_uri too, or leave them out")
            if options.results_only:
                raise ConfigError("results_only: that is for object stores, so give an fsspec_uri too, or leave it out")
            return options
        match = _REMOTE.fullmatch(uri)
        if match is None:
            raise ConfigError(
                f"fsspec_uri: {show(uri)} is not of the form 'scheme://...', such as 's3://bucket/folder'"
            )
        if match[1].lower() in _LOCAL:
            path = Path(match[2]) / ("" if options.base_dir == _DEFAULT else options.base_dir)
            return attrs.evolve(options, base_dir=path, fsspec_uri=None)
        inside = PurePosixPath() if options.base_dir == _DEFAULT else PurePosixPath(options.base_dir.as_posix())
        if ".." in (*inside.parts, *match[2].split("/")):
            raise ConfigError(f"base_dir: {show(str(inside))} must not lead out of {show(uri)} with '..'")
        parts = [part for part in inside.parts if part != "/"]
        return attrs.evolve(options, fsspec_uri="/".join([_trimmed(uri), *parts]), base_dir=_DEFAULT)

    @property
    def protocol(self) -> str:
        """The kind of the object store; empty for a folder."""
        return (self.fsspec_uri or "").partition(":")[0].lower()

    @property
    def has_no_log(self) -> bool:
        """Whether there is nothing but an object for each result."""
        return self.results_only or (bool(self.protocol) and self.protocol not in CONDITIONAL)


def _trimmed(uri: str) -> str:
    return uri if uri.endswith("://") else uri.rstrip("/")


def _split(url: str) -> dict[str, object]:
    match = _REMOTE.fullmatch(url)
    if match is None or match[1].lower() in _LOCAL:
        return {"base_dir": path_from_url(url, "file")}
    return {"fsspec_uri": url}
