"""The classes that may be encoded by name, and so the only ones that stored bytes can make this process build."""

from __future__ import annotations

import sys
from collections.abc import Callable
from enum import Enum, Flag
from pathlib import PurePath
from typing import Any, Protocol, TypeVar, cast

import attrs

from omniq.errors import ConfigError
from omniq.serialization.refusal import type_name

__all__ = ["Converter", "RegisteredType", "TypeRegistry", "default_types", "register_type"]

T = TypeVar("T")


class Converter(Protocol):
    """What `register_type` needs of a converter; a `cattrs.Converter` has it."""

    def unstructure(self, obj: Any) -> Any:
        """Turn an instance into plain data."""
        ...

    def structure(self, obj: Any, cl: type[T]) -> T:
        """Build an instance from plain data."""
        ...


@attrs.frozen(kw_only=True)
class RegisteredType:
    """A known class: its name in stored bytes, and how to take it apart and build it."""

    cls: type
    name: str
    unstructure: Callable[[Any], object]
    structure: Callable[[Any], object]


class TypeRegistry:
    """Known classes by class and by name.

    The process has one (`register_type` adds to it); tests make their own.
    """

    __slots__ = ("by_class", "by_name")

    def __init__(self) -> None:
        self.by_class: dict[type, RegisteredType] = {}
        self.by_name: dict[str, RegisteredType] = {}

    def register(self, cls: type[T], name: str | None = None, *, converter: Converter | None = None) -> type[T]:
        """Make a class known; see `register_type`."""
        key = f"{_module(cls)}.{cls.__qualname__}" if name is None else name
        _check_name(key)
        known = self.by_name.get(key)
        if known is not None and type_name(known.cls) != type_name(cls):
            msg = f"{key!r} is already the name of {type_name(known.cls)}; give {type_name(cls)} another name."
            raise ConfigError(msg)
        entry = _describe(cls, key, converter)
        if known is not None:  # the module was reloaded: its new class takes over
            self.by_class.pop(known.cls, None)
        self.by_class[cls] = self.by_name[key] = entry
        return cls


def _module(cls: type) -> str:
    """Return the module that other processes import the class from; a script's own is `__main__` only to itself."""
    if cls.__module__ != "__main__":
        return cls.__module__
    main = sys.modules["__main__"]
    spec, file = getattr(main, "__spec__", None), getattr(main, "__file__", None)
    if spec is not None:
        return str(spec.name).removesuffix(".__main__")
    return PurePath(file).stem if file else "__main__"


def _check_name(name: str) -> None:
    if "." not in name or not name.isprintable():
        msg = (
            f"{name!r} cannot be a type's name: names have a dot, as in 'shop.Order', because those without one are "
            "reserved for OmniQ's own types."
        )
        raise ConfigError(msg)


def _describe(cls: type, name: str, converter: Converter | None) -> RegisteredType:
    if converter is not None:
        return RegisteredType(
            cls=cls,
            name=name,
            unstructure=converter.unstructure,
            structure=lambda plain: converter.structure(plain, cls),
        )
    if issubclass(cls, Enum):
        # A combined flag has no name of its own, so flags travel by value.
        by_value = issubclass(cls, Flag)
        return RegisteredType(
            cls=cls,
            name=name,
            unstructure=(lambda member: member.value) if by_value else (lambda member: member.name),
            structure=cls if by_value else cls.__getitem__,
        )
    fields = _fields(cls)
    if fields is None:
        msg = (
            f"register_type() knows attrs classes, dataclasses, named tuples and enums; {type_name(cls)} is none of "
            "them. Pass converter= with a cattrs.Converter that has hooks for it."
        )
        raise ConfigError(msg)
    return RegisteredType(cls=cls, name=name, unstructure=_taker(fields), structure=_builder(cls, fields))


def _fields(cls: type) -> dict[str, str] | None:
    """Return the attribute names with their names in `__init__`, or None if the class has no declared fields."""
    if attrs.has(cls):
        return {field.name: field.alias or field.name for field in attrs.fields(cls) if field.init}
    if hasattr(cls, "__dataclass_fields__"):
        import dataclasses

        return {field.name: field.name for field in dataclasses.fields(cls) if field.init}
    if issubclass(cls, tuple) and hasattr(cls, "_fields"):
        return {field: field for field in cast("tuple[str, ...]", cls._fields)}
    return None


def _taker(fields: dict[str, str]) -> Callable[[Any], object]:
    names = tuple(fields)
    return lambda value: {name: getattr(value, name) for name in names}


def _builder(cls: type, fields: dict[str, str]) -> Callable[[Any], object]:
    def build(plain: dict[str, object]) -> object:
        unknown = plain.keys() - fields.keys()
        if unknown:
            msg = f"{type_name(cls)} has no field {', '.join(sorted(unknown))}; was it written by a newer version?"
            raise ValueError(msg)
        return cls(**{fields[name]: value for name, value in plain.items()})

    return build


_DEFAULT = TypeRegistry()


def default_types() -> TypeRegistry:
    """Return the registry that `register_type` adds to."""
    return _DEFAULT


def register_type(cls: type[T], name: str | None = None, *, converter: Converter | None = None) -> type[T]:
    """Allow instances of a class in arguments and results.

    Do it where the class is defined, so that producers and workers both have it. Fields are encoded one by one with
    their actual types (a field may hold any value that can be encoded, also other registered classes); fields with
    `init=False` are left to the constructor. Usable as a class decorator.

    Args:
        cls: An attrs class, dataclass, named tuple or enum; with `converter`, any class.
        name: Its name in stored bytes, with a dot in it. The default is module and class name, so a class that moves
            needs its old name here.
        converter: A `cattrs.Converter` (or anything with its `unstructure` and `structure`) to use instead.

    Returns:
        The class itself.

    Raises:
        ConfigError: The class has no declared fields, or the name is taken or has no dot.
    """
    return _DEFAULT.register(cls, name, converter=converter)
