"""The compact serializer: msgpack with the same tags as JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from omniq.errors import SerializationError
from omniq.serialization.registered import TypeRegistry, default_types
from omniq.serialization.serializer import Serializer
from omniq.serialization.tagging import TAG, Tagger, is_plain

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["MsgpackSerializer"]

_ATOMS: frozenset[type] = frozenset({int, float, str, bytes, bool, type(None)})
_TAG_BYTES = TAG.encode()
_SMALLEST_INT, _LARGEST_INT = -(1 << 63), (1 << 64) - 1


def _fits(value: object) -> bool:
    """Tell whether msgpack can hold an int, float, str or bytes as it is."""
    kind = type(value)
    if kind is int:
        return _SMALLEST_INT <= value <= _LARGEST_INT  # type: ignore[operator]
    if kind is str:
        try:
            value.encode()  # type: ignore[attr-defined]
        except UnicodeEncodeError:
            return False
    return True


class MsgpackSerializer(Serializer):
    """Encodes to msgpack.

    Bytes, not-a-number and the infinities are natural here; the rest is tagged as in JSON. The msgpack library is
    imported at first use.

    Args:
        types: The registered classes; by default those of `register_type`.
    """

    name = "msgpack"

    def __init__(self, types: TypeRegistry | None = None) -> None:
        self._tagger = Tagger(default_types() if types is None else types, _fits)
        self._pack: Callable[[object], bytes] | None = None
        self._unpack: Callable[..., Any] | None = None

    def dumps(self, value: object) -> bytes:
        """Encode a value as msgpack."""
        pack = self._pack or self._load()
        try:
            if is_plain(value, _ATOMS):
                return pack(value)
        except (ValueError, OverflowError):
            pass  # a lone surrogate or an int beyond 64 bits, which the careful way tags
        try:
            return pack(self._tagger.encode(value))
        except ValueError as error:  # msgpack's own limits, such as 4 GiB for one text
            msg = f"msgpack cannot hold this value: {error}"
            raise SerializationError(msg) from error

    def loads(self, data: bytes) -> object:
        """Decode msgpack."""
        if self._unpack is None:
            self._load()
        unpack = self._unpack
        assert unpack is not None  # noqa: S101 - set by _load
        try:
            return unpack(data, object_hook=self._tagger.decode if _TAG_BYTES in data else None)
        except SerializationError:
            raise
        except Exception as error:  # the library's errors have no common base below Exception
            msg = f"not valid msgpack data: {type(error).__name__}: {error}. It starts with {bytes(data[:40])!r}."
            raise SerializationError(msg) from error

    def _load(self) -> Callable[[object], bytes]:
        from msgpack import packb, unpackb  # type: ignore[import-untyped,unused-ignore]

        self._unpack = unpackb
        self._pack = packb
        return packb  # type: ignore[no-any-return]
