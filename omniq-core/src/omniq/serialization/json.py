"""The default serializer: JSON that people can read, exact for every supported type."""

from __future__ import annotations

import json
import json.encoder
from typing import TYPE_CHECKING

from omniq.errors import SerializationError
from omniq.serialization.registered import TypeRegistry, default_types
from omniq.serialization.serializer import Serializer
from omniq.serialization.tagging import TAG, Tagger, is_plain

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["JsonSerializer"]

_ATOMS: frozenset[type] = frozenset({int, float, str, bool, type(None)})
_C_FLAGS = (False, False, False)  # sort_keys, skipkeys, allow_nan
_LONGEST_INT_BITS = 1024  # CPython refuses decimal text of ints over 4,300 digits; long before that nobody reads them


def _fits(value: object) -> bool:
    """Tell whether JSON can hold an int, float, str or bytes as it is."""
    kind = type(value)
    if kind is int:
        return value.bit_length() <= _LONGEST_INT_BITS  # type: ignore[attr-defined,no-any-return]
    if kind is float:
        return value - value == 0  # type: ignore[operator,no-any-return]  # false for nan and the infinities
    if kind is str:
        try:
            value.encode()  # type: ignore[attr-defined]
        except UnicodeEncodeError:  # lone surrogates, as in file names that are not UTF-8
            return False
        return True
    return False


def _refuse_constant(text: str) -> object:
    msg = f"{text} is not JSON; not-a-number and infinities are tagged"
    raise ValueError(msg)


def _make_encoder() -> Callable[[object, int], tuple[str, ...]]:
    """Make the C encoder once: `JSONEncoder.encode` makes a new one each time, which is 3/4 of its time."""
    plain = json.JSONEncoder(ensure_ascii=False, check_circular=False, allow_nan=False, separators=(",", ":"))
    make = getattr(json.encoder, "c_make_encoder", None)
    if make is None:
        return lambda value, _: (plain.encode(value),)
    encoder: Callable[[object, int], tuple[str, ...]] = make(
        None, plain.default, json.encoder.encode_basestring, None, ":", ",", *_C_FLAGS
    )
    return encoder


def _scanner(decoder: json.JSONDecoder) -> Callable[[str, int], tuple[object, int]]:
    """Return the C scanner: `JSONDecoder.decode` spends most of its time on white space around the value."""
    scan: Callable[[str, int], tuple[object, int]] = decoder.scan_once  # type: ignore[attr-defined]
    return scan


_encode = _make_encoder()
_plain_decoder = json.JSONDecoder(parse_constant=_refuse_constant)
_scan_plain = _scanner(_plain_decoder)


class JsonSerializer(Serializer):
    """Encodes to compact UTF-8 JSON.

    JSON's own types look as they always do; the rest is tagged, see `omniq.serialization`.

    Args:
        types: The registered classes; by default those of `register_type`.
    """

    name = "json"

    def __init__(self, types: TypeRegistry | None = None) -> None:
        self._tagger = Tagger(default_types() if types is None else types, _fits)
        self._tagged_decoder = json.JSONDecoder(parse_constant=_refuse_constant, object_hook=self._tagger.decode)
        self._scan_tagged = _scanner(self._tagged_decoder)

    def dumps(self, value: object) -> bytes:
        """Encode a value as JSON."""
        kind = type(value)
        if kind is dict or kind is list:
            if not value:
                return b"[]" if kind is list else b"{}"
        elif value is None:
            return b"null"
        try:
            if is_plain(value, _ATOMS):
                return "".join(_encode(value, 0)).encode()
        except ValueError:
            pass  # a nan, a lone surrogate or a giant int, which the careful way tags
        return "".join(_encode(self._tagger.encode(value), 0)).encode()

    def loads(self, data: bytes) -> object:
        """Decode JSON."""
        if data == b"[]":
            return []
        if data == b"{}":
            return {}
        try:
            text = str(data, "utf-8")
            tagged = TAG in text
            try:
                value, end = (self._scan_tagged if tagged else _scan_plain)(text, 0)
            except StopIteration:
                end = -1
            if end != len(text):  # white space around it, or an error that `decode` explains
                value = (self._tagged_decoder if tagged else _plain_decoder).decode(text)
        except SerializationError:
            raise
        except (ValueError, RecursionError, TypeError) as error:
            msg = f"not valid JSON data: {error}. It starts with {bytes(data[:40])!r}."
            raise SerializationError(msg) from error
        return value
