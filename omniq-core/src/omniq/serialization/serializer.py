"""What every serializer offers."""

from __future__ import annotations

from abc import ABC, abstractmethod

__all__ = ["Serializer"]


class Serializer(ABC):
    """Turns a value into bytes and back.

    One instance serves every thread of the process. `name` is stored beside the bytes as their codec, so it must never
    change its meaning; a new format gets a new name.
    """

    name: str

    @abstractmethod
    def dumps(self, value: object) -> bytes:
        """Encode a value.

        Raises:
            SerializationError: The value cannot be encoded so that `loads` gives it back exactly.
        """

    @abstractmethod
    def loads(self, data: bytes) -> object:
        """Decode what `dumps` wrote.

        Raises:
            SerializationError: The bytes are damaged, or name a type that is not known here.
        """
