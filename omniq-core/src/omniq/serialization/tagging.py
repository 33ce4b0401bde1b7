"""The tagged form of values that JSON and msgpack have no word for.

Natural values stay natural. Everything else becomes `{"$omniq": <tag>, "v": <plain data>}`, and so does a dict that has
the key `$omniq` itself, so that no user data can be taken for a tag.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from omniq.errors import SerializationError
from omniq.serialization.leaves import LEAF_DECODERS, LEAF_ENCODERS
from omniq.serialization.refusal import REMEDY, ValueRefusedError, type_name

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from omniq.serialization.registered import TypeRegistry

__all__ = ["MAX_DEPTH", "TAG", "Tagger", "is_plain"]

TAG = "$omniq"
MAX_DEPTH = 128  # a tagged level is up to three levels of data, and msgpack stops at 511
_ONLY_STR = frozenset({str})


def is_plain(value: object, atoms: frozenset[type], depth: int = MAX_DEPTH) -> bool:
    """Tell whether a value is made of exact atoms, lists and dicts with text keys only, and so needs no tags.

    This runs for every call, so it looks at whole lists at C speed and never builds anything.
    """
    kind = type(value)
    if kind is list:
        items: Iterable[object] = value  # type: ignore[assignment]
    elif kind is dict:
        if TAG in value or not _ONLY_STR.issuperset(map(type, value)):  # type: ignore[operator,call-overload]
            return False
        items = value.values()  # type: ignore[attr-defined]
    else:
        return kind in atoms
    if depth == 0:
        return False
    if atoms.issuperset(map(type, items)):
        return True
    for item in items:  # noqa: SIM110 - a loop is faster than a generator
        if type(item) not in atoms and not is_plain(item, atoms, depth - 1):
            return False
    return True


class Tagger:
    """Turns values into their tagged form and back.

    Args:
        types: The registered classes.
        fits: Tells whether an int, float, str or bytes can be written as it is.
    """

    __slots__ = ("_decoders", "_encoders", "_fits", "_types")

    def __init__(self, types: TypeRegistry, fits: Callable[[Any], bool]) -> None:
        self._types = types
        self._fits = fits
        self._encoders: dict[type, Callable[[Any, int], object]] = {
            list: self._list,
            dict: self._dict,
            tuple: self._sequence("tuple"),
            set: self._sequence("set"),
            frozenset: self._sequence("frozenset"),
        }
        self._decoders: dict[str, Callable[[Any], object]] = {
            **LEAF_DECODERS,
            "dict": dict,
            "tuple": tuple,
            "set": set,
            "frozenset": frozenset,
        }

    def encode(self, value: object) -> object:
        """Return the tagged form of a value.

        Raises:
            SerializationError: Some part of it cannot be encoded.
        """
        try:
            return self._encode(value, 0)
        except RecursionError:
            raise self._too_deep(value) from None

    def decode(self, data: dict[Any, Any]) -> object:
        """Return what a tagged dict stands for; a dict without the tag is returned as it is.

        The parsers call this for the innermost dict first, so `v` has only finished values in it.

        Raises:
            SerializationError: The tag is unknown, or its data is not what that tag has.
        """
        if TAG not in data:
            return data
        tag = data[TAG]
        try:
            decoder = self._decoders.get(tag) or self._types.by_name[tag].structure
        except (KeyError, TypeError):
            msg = (
                f"no type is registered as {tag!r} here. If it is a class of yours, import the module that calls "
                "register_type() for it in this process too; otherwise the data was written by a newer version."
            )
            raise SerializationError(msg) from None
        try:
            return decoder(data["v"])
        except SerializationError:
            raise
        except Exception as error:
            msg = f"data of type {tag!r} cannot be decoded: {type(error).__name__}: {error}"
            raise SerializationError(msg) from error

    def _encode(self, value: object, depth: int) -> object:
        if value is None or value is True or value is False:
            return value
        kind = type(value)
        encoder = self._encoders.get(kind)
        if encoder is not None:
            if depth >= MAX_DEPTH:
                raise self._too_deep(value)
            return encoder(value, depth + 1)
        leaf = LEAF_ENCODERS.get(kind)
        if leaf is not None:
            if kind in _NATURAL and self._fits(value):
                return value
            tag, plain = leaf(value)
            return {TAG: tag, "v": self._encode(plain, 0)}
        if depth >= MAX_DEPTH:
            raise self._too_deep(value)
        return self._registered(value, kind, depth + 1)

    def _registered(self, value: object, kind: type, depth: int) -> object:
        registered = self._types.by_class.get(kind)
        if registered is None:
            msg = f"is of type {type_name(kind)}, which cannot be serialized. {REMEDY}"
            raise ValueRefusedError(msg)
        try:
            plain = registered.unstructure(value)
        except Exception as error:
            msg = f"is of type {type_name(kind)}, which could not be taken apart: {type(error).__name__}: {error}"
            raise ValueRefusedError(msg) from error
        return {TAG: registered.name, "v": self._encode(plain, depth)}

    def _list(self, value: Iterable[object], depth: int) -> list[object]:
        result: list[object] = []
        for item in value:
            try:
                result.append(self._encode(item, depth))
            except ValueRefusedError as error:
                raise error.under(len(result)) from None
        return result

    def _sequence(self, tag: str) -> Callable[[Any, int], object]:
        return lambda value, depth: {TAG: tag, "v": self._list(value, depth)}

    def _dict(self, value: dict[object, object], depth: int) -> object:
        natural = TAG not in value and _ONLY_STR.issuperset(map(type, value)) and all(map(self._fits, value))
        pairs: list[tuple[Any, object]] = []
        for key, item in value.items():
            try:
                pairs.append((key if natural else self._encode(key, depth), self._encode(item, depth)))
            except ValueRefusedError as error:
                raise error.under(key) from None
        return dict(pairs) if natural else {TAG: "dict", "v": [list(pair) for pair in pairs]}

    @staticmethod
    def _too_deep(value: object) -> ValueRefusedError:
        reason = "contains itself" if _is_cyclic(value) else f"is nested more than {MAX_DEPTH} levels deep"
        msg = f"{reason}, which cannot be serialized. Pass a flat structure, or the id of something stored elsewhere."
        return ValueRefusedError(msg)


_NATURAL = frozenset({int, float, str, bytes})


def _is_cyclic(value: object) -> bool:
    """Follow containers depth first, without recursion, until one turns up again below itself."""
    above: set[int] = set()
    todo: list[tuple[object, bool]] = [(value, False)]
    while todo:
        item, leaving = todo.pop()
        if leaving:
            above.discard(id(item))
        elif isinstance(item, dict | list | tuple):
            if id(item) in above:
                return True
            above.add(id(item))
            todo.append((item, True))
            todo.extend((child, False) for child in (item.values() if isinstance(item, dict) else item))
    return False
