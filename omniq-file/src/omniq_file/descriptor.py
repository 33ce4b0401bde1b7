"""`omniq.json`: what a store is, for whoever opens it, and for people."""

from __future__ import annotations

import json
import secrets
from typing import Any

import attrs

from omniq.errors import ConfigError, StoreFormatError

__all__ = ["FORMAT", "NAME", "Descriptor"]

NAME = "omniq.json"
FORMAT = 1
"""The format that this version writes, and the only one that it reads."""


@attrs.frozen(kw_only=True)
class Descriptor:
    """The description of a store.

    Attributes:
        id: Distinguishes it from all other stores, wherever its files are moved.
        serialization_format: In which its records are written.
        format: The format of its files.
        min_reader: The oldest version of the format that can read it.
        min_writer: The oldest version of the format that can write it.
    """

    id: str
    serialization_format: str
    format: int = FORMAT
    min_reader: int = FORMAT
    min_writer: int = FORMAT

    @classmethod
    def make(cls, serialization_format: str | None) -> Descriptor:
        """Describe a new store."""
        return cls(id=secrets.token_hex(16), serialization_format=serialization_format or "json")

    @classmethod
    def read(cls, data: bytes, where: object) -> Descriptor:
        """Read the file.

        Raises:
            StoreFormatError: It is none, or describes a store of a newer version.
        """
        try:
            fields: dict[str, Any] = json.loads(data)
            versions = int(fields["min_reader"]), int(fields["min_writer"])
        except (ValueError, TypeError, KeyError) as error:
            raise StoreFormatError(f"{where} does not describe a store of OmniQ: {data[:80]!r}.") from error
        if max(versions) > FORMAT:
            raise StoreFormatError(
                f"The store of {where} has the format {fields.get('format')} and needs {max(versions)}; this version "
                f"works with {FORMAT}. Upgrade: pip install --upgrade omniq-file"
            )
        try:
            return cls(**{name: fields[name] for name in attrs.fields_dict(cls)})
        except KeyError as error:
            raise StoreFormatError(f"{where} lacks {error}.") from error

    def dump(self) -> bytes:
        """Return the content of the file."""
        about = "A store of OmniQ. tasks/ and the folders beside it are for people; store/ is what counts."
        return json.dumps({**attrs.asdict(self), "about": about}, indent=2).encode() + b"\n"

    def check(self, serialization_format: str | None, where: object) -> None:
        """Refuse another serialization format than the store's.

        Raises:
            ConfigError: It is another.
        """
        if serialization_format not in {None, self.serialization_format}:
            raise ConfigError(
                f"serialization_format: {serialization_format!r}, but the store {where} is written as "
                f"{self.serialization_format!r}. Leave the option out, or give a new base_dir."
            )
