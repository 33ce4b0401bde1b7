"""Serializers by name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from omniq.errors import ConfigError
from omniq.serialization.json import JsonSerializer
from omniq.serialization.msgpack import MsgpackSerializer
from omniq.serialization.pickle import PickleSerializer

if TYPE_CHECKING:
    from omniq.serialization.serializer import Serializer

__all__ = ["SerializerRegistry", "get_serializer", "register_serializer"]


class SerializerRegistry:
    """Finds the serializer for a name: `json`, `msgpack`, registered ones, and `pickle` if there is a signing key.

    Args:
        signing_key: The key for pickle; without one, pickle is refused.
    """

    __slots__ = ("_serializers",)

    def __init__(self, *, signing_key: str | bytes | None = None) -> None:
        self._serializers: dict[str, Serializer] = {}
        self.register(JsonSerializer())
        self.register(MsgpackSerializer())
        if signing_key:
            self.register(PickleSerializer(signing_key))

    def register(self, serializer: Serializer) -> None:
        """Add a serializer under its own name.

        Raises:
            ConfigError: Another class of serializer has that name already.
        """
        known = self._serializers.get(serializer.name)
        if known is not None and type(known) is not type(serializer):
            msg = (
                f"serializer name {serializer.name!r} belongs to {type(known).__qualname__} already; "
                f"give {type(serializer).__qualname__} a name of its own."
            )
            raise ConfigError(msg)
        self._serializers[serializer.name] = serializer

    def get(self, name: str) -> Serializer:
        """Return the serializer with this name.

        Raises:
            ConfigError: There is none, or it is pickle and there is no signing key.
        """
        serializer = self._serializers.get(name)
        if serializer is not None:
            return serializer
        if name == PickleSerializer.name:
            return PickleSerializer(None)  # raises the error that says how to set the key
        from difflib import get_close_matches

        guess = get_close_matches(str(name), self.names(), n=1)
        hint = f" Did you mean {guess[0]!r}?" if guess else ""
        msg = f"unknown serializer {name!r}.{hint} Available: {', '.join(self.names())}."
        raise ConfigError(msg)

    def names(self) -> list[str]:
        """Return the names that can be asked for, sorted; pickle is one of them even without a key."""
        return sorted({*self._serializers, PickleSerializer.name})


_DEFAULT = SerializerRegistry()


def get_serializer(name: str, *, signing_key: str | bytes | None = None) -> Serializer:
    """Return the serializer with this name; only pickle needs, and uses, the signing key.

    Raises:
        ConfigError: There is no such serializer, or it is pickle and there is no key.
    """
    if name == PickleSerializer.name:
        return PickleSerializer(signing_key)
    return _DEFAULT.get(name)


def register_serializer(serializer: Serializer) -> None:
    """Make a serializer of your own available to `get_serializer` in this process.

    Raises:
        ConfigError: Another class of serializer has that name already.
    """
    _DEFAULT.register(serializer)
