"""How a backend reads its url and its options: into one attrs class, strictly, with all faults at once.

::

    @attrs.frozen(kw_only=True)
    class RedisOptions:
        host: str = attrs.field(default="localhost", metadata=LOCATOR)
        port: int = attrs.field(default=6379, metadata=LOCATOR)
        password: str | None = attrs.field(default=None, repr=False)
        max_connections: int = attrs.field(default=10, validator=attrs.validators.ge(1))

    options = parse_options(RedisOptions, config, split_url=url_to_fields)

A field marked `LOCATOR` says where the store is: if the configuration has one of these and no url, the backend's
default store is not filled in.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import unquote

import attrs

from omniq.errors import ConfigError
from omniq.models.faults import Fault
from omniq.models.redaction import redact_text, show

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from omniq.storage.backend import BackendConfig

__all__ = ["LOCATOR", "locators", "parse_options", "path_from_url"]

LOCATOR: Mapping[str, bool] = {"omniq_locator": True}
"""Metadata of option fields that say where the store is."""

_SCHEME = re.compile(r"([a-z][a-z0-9+.-]+):(.*)", re.IGNORECASE | re.DOTALL)
_ABSENT = object()

T = TypeVar("T")


def locators(options: type | None) -> frozenset[str]:
    """Return the names of the option fields that say where the store is."""
    if options is None or not attrs.has(options):
        return frozenset()
    return frozenset(
        field.alias or field.name for field in attrs.fields(options) if field.metadata.get("omniq_locator")
    )


def parse_options(
    into: type[T], config: BackendConfig, *, split_url: Callable[[str], Mapping[str, object]] | None = None
) -> T:
    """Read a backend's url and options.

    An option that is None counts as left out if the url has the value, or if the field cannot be None. Any other option
    that the url has too must say the same.

    Args:
        into: The attrs class of the options. Its validators run; types are checked, not coerced (text is accepted for
            numbers and booleans, because urls have only text).
        config: What the creation hook received.
        split_url: Returns the values that a url has, by the names of the fields. Without it a url is refused.

    Raises:
        ConfigError: Something is invalid; the message lists all faults and shows no secret.
    """
    from omniq.models.structuring import structure

    in_url, found = _split(config.url, split_url)
    given = {key: value for key, value in config.options.items() if value is not None}
    faults = [_conflict(into, key, in_url[key], given[key]) for key in sorted(in_url.keys() & given.keys())]
    nones = {key: None for key, value in config.options.items() if value is None and _takes_none(into, key)}
    found += [fault for fault in faults if fault is not None]
    return structure(
        {**nones, **in_url, **given}, into, f"configuration of the {config.backend_type} backend", found=found
    )


def _takes_none(into: type, key: str) -> bool:
    """Tell whether None is to reach the class: as a value that the field has, or as the value of an unknown key."""
    from omniq.models.structuring import read_member

    try:
        return read_member(into, key, None) is None
    except ValueError:
        return False


def _split(
    url: str | None, split_url: Callable[[str], Mapping[str, object]] | None
) -> tuple[Mapping[str, object], list[Fault]]:
    """Return the values in the url, and the fault of a url that cannot be read."""
    if url is None:
        return {}, []
    if split_url is None:
        return {}, [Fault("url", f"{show(url)} is of no use here: this backend takes none. Leave it out")]
    try:
        return {key: value for key, value in split_url(url).items() if value is not None}, []
    except ConfigError as error:
        return {}, [Fault("", str(error))]
    except ValueError as error:
        return {}, [Fault("url", f"{show(url)}: {redact_text(str(error))}")]


def _conflict(into: type, key: str, in_url: object, given: object) -> Fault | None:
    """Return a fault if the url and the option, both read as the field's type, differ."""
    from omniq.models.structuring import read_member

    try:
        same = read_member(into, key, in_url) == read_member(into, key, given)
    except ValueError:
        return None  # the type's fault is reported when everything is read
    if same:
        return None
    return Fault(
        key, f"{show(given, key)} contradicts the url, which has {show(in_url, key)}. Give it in one place only"
    )


def path_from_url(url: str, scheme: str) -> Path:
    """Return the path that a url of a local store means.

    A bare path is itself. `sqlite:///x.db` is relative and `sqlite:////x.db` absolute, as everywhere with databases;
    `file:///x` is absolute, as everywhere with files. A leading `~` is the home directory.

    Args:
        url: A path or a url.
        scheme: The one that is accepted, such as `sqlite`.

    Raises:
        ConfigError: Another scheme, a host, a query, or no path.
    """
    match = _SCHEME.fullmatch(url)
    if match is None:
        return Path(url).expanduser()
    found, rest = match[1].lower(), match[2]
    shown = show(url)
    example = f"{scheme}:///var/lib/omniq" if scheme == "file" else f"{scheme}:///omniq.db"
    if found != scheme:
        raise ConfigError(
            f"url: {shown} is a {found} url, but the backend is {scheme}. Give a path or a url such as '{example}'"
        )
    path = rest.removeprefix("///")
    if not rest.startswith("///") or not path:
        meant = rest.lstrip("/") or "omniq.db"
        remedy = f"'./{meant}' or 'file:///absolute/path'" if scheme == "file" else f"'{scheme}:///{meant}' (relative)"
        raise ConfigError(f"url: {shown} has no path, or has a host where a local store has none. Write {remedy}")
    if "?" in path or "#" in path:
        raise ConfigError(f"url: {shown} has a query. Give options in config={{...}} instead")
    return Path("/" + unquote(path)) if scheme == "file" else Path(path).expanduser()
