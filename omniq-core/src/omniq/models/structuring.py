"""Turns mappings into configuration records, strictly, and reports every fault with its path.

It imports cattrs, which costs tens of milliseconds: import it inside functions.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Collection, Mapping, Sequence
from enum import Enum
from pathlib import Path
from types import UnionType
from typing import Any, Literal, TypeVar, Union, cast, get_args, get_origin

import attrs
from cattrs import BaseValidationError, ClassValidationError, Converter, IterableValidationError
from cattrs.errors import ForbiddenExtraKeysError
from cattrs.gen import make_dict_structure_fn, override

from omniq.models.faults import Fault, invalid, unknown_key
from omniq.models.parsing import Refused
from omniq.models.redaction import is_secret, redact_text, show

__all__ = ["converter", "read_member", "structure"]

T = TypeVar("T")

_TRUE = frozenset({"1", "true", "yes", "on"})
_FALSE = frozenset({"0", "false", "no", "off"})


def structure(value: object, into: type[T], subject: str, *, found: Sequence[Fault] = ()) -> T:
    """Make an instance of an attrs class from a mapping.

    Args:
        value: The mapping; its keys are the names of the fields.
        into: The attrs class.
        subject: What is said to be invalid if it is, such as `configuration config.yaml`.
        found: Faults that are known already and reported with the others.

    Raises:
        ConfigError: Something is invalid; the message lists all faults with their paths.
    """
    try:
        made = converter().structure(value, into)
    except (BaseValidationError, TypeError, ValueError) as error:
        raise invalid(subject, [*found, *_faults(error, "")]) from None
    if found:
        raise invalid(subject, found)
    return made


def read_member(into: type, name: str, value: object) -> object:
    """Return a value as a field of an attrs class would have it, without its validator.

    Raises:
        ValueError: It is not of the field's type.
    """
    fields = attrs.fields_dict(attrs.resolve_types(into))
    if name not in fields:
        return value
    try:
        return converter().structure(value, cast("Any", fields[name].type))
    except BaseValidationError as error:
        raise ValueError(str(error)) from None


def _faults(error: BaseException, path: str) -> list[Fault]:
    if isinstance(error, ClassValidationError | IterableValidationError):
        pairs, others = error.group_exceptions()
        noted = [(inner, f".{note.name}" if hasattr(note, "name") else f"[{note.index!r}]") for inner, note in pairs]
        found = [fault for inner, step in noted for fault in _faults(inner, f"{path}{step}".removeprefix("."))]
        return found + [fault for inner in others for fault in _faults(inner, path)]
    if isinstance(error, ForbiddenExtraKeysError):
        known = [field.name for field in attrs.fields(error.cl) if field.init]
        return [unknown_key(path, str(key), known) for key in sorted(error.extra_fields, key=str)]
    if isinstance(error, KeyError):
        return [Fault(path, "is missing, and there is no default for it")]
    # Validators of attrs put the attribute and the value into further arguments of their exceptions.
    message = error.args[0] if error.args else repr(error)
    return [Fault(path, redact_text(str(message)))]


def _refuse(value: object, wanted: str) -> ValueError:
    return ValueError(f"{show(value)} is not {wanted}")


def _integer(value: object, _type: object) -> int:
    if isinstance(value, str):
        try:
            return int(value)
        except ValueError:
            pass
    elif isinstance(value, int) and not isinstance(value, bool):
        return value
    elif isinstance(value, float) and value.is_integer():
        return int(value)
    raise _refuse(value, "a whole number; give one such as 10")


def _number(value: object, _type: object) -> float:
    if isinstance(value, int | float | str) and not isinstance(value, bool):
        try:
            return float(value)
        except ValueError:
            pass
    raise _refuse(value, "a number; give one such as 30.0")


def _boolean(value: object, _type: object) -> bool:
    word = str(value).lower() if isinstance(value, str | int) else ""
    if word in _TRUE or word in _FALSE:
        return word in _TRUE
    raise _refuse(value, "true or false")


def _text(value: object, _type: object) -> str:
    if isinstance(value, str):
        return value
    raise _refuse(value, "text; put it between quotes")


def _path(value: object, _type: object) -> Path:
    if isinstance(value, str | Path) and str(value):
        return Path(value).expanduser()
    raise _refuse(value, "a path; give text or a Path")


def _choice(value: object, type_: Any) -> object:
    choices = list(get_args(type_)) or [item.value for item in type_]
    found = value if value in choices else None
    if found is None and isinstance(value, str):
        found = next((item for item in choices if str(item).lower() == value.lower()), None)
    if found is None:
        raise _refuse(value, f"one of {', '.join(repr(item) for item in choices)}")
    return found if get_args(type_) else type_(found)


def _is_choice(type_: Any) -> bool:
    return get_origin(type_) is Literal or (isinstance(type_, type) and issubclass(type_, Enum))


def _record(conv: Converter, cls: type[Any]) -> Callable[[object, Any], Any]:
    """Return the function that makes an attrs class from a mapping, or takes an instance as it is."""
    hooks: dict[str, Any] = {
        field.name: override(struct_hook=functools.partial(_member, conv, field))
        for field in attrs.fields(cls)
        if field.init
    }
    from_mapping = make_dict_structure_fn(
        cls, conv, _cattrs_forbid_extra_keys=True, _cattrs_detailed_validation=True, **hooks
    )

    def build(value: object, type_: Any) -> Any:
        if isinstance(value, cls):
            return value
        if not isinstance(value, Mapping):
            fields = ", ".join(field.name for field in attrs.fields(cls) if field.init)
            raise _refuse(value, f"a mapping; its keys are {fields}")
        return from_mapping(value, type_)

    return build


def _member(conv: Converter, field: attrs.Attribute[Any], value: object, type_: Any) -> object:
    """Convert one field, and run its validator here so that one bad field does not hide the next."""
    if "omniq_setting" in field.metadata and field.converter is not None:
        convert: Any = field.converter
        converted = convert(value)
        if isinstance(converted, Refused):
            raise ValueError(converted.message)
        return converted
    try:
        _check_shape(value, type_)
        converted = conv.structure(value, type_)
        if field.validator is not None:
            field.validator(None, field, converted)
    except Exception:
        if is_secret(field.name):
            msg = "has a wrong type or value (it is a secret and not shown)"
            raise ValueError(msg) from None
        raise
    return converted


def _check_shape(value: object, type_: Any) -> None:
    """Refuse text where a list is wanted, which cattrs would take letter by letter, and a non-mapping for a mapping."""
    shapes = get_args(type_) if get_origin(type_) in {Union, UnionType} else (type_,)
    kinds = [get_origin(shape) or shape for shape in shapes]
    if value is None or not all(isinstance(kind, type) for kind in kinds):
        return
    if any(issubclass(kind, Mapping) for kind in kinds) and not isinstance(value, Mapping):
        raise _refuse(value, "a mapping of names to values")
    listed = any(issubclass(kind, Collection) and not issubclass(kind, str | bytes | Mapping) for kind in kinds)
    if listed and str not in kinds and (isinstance(value, str | bytes) or not isinstance(value, Collection)):
        raise _refuse(value, "a list; put it between [ ]")


@functools.cache
def converter() -> Converter:
    """Return the strict converter: unknown keys, booleans as numbers and numbers as text are refused."""
    conv = Converter(forbid_extra_keys=True, detailed_validation=True)
    conv.register_structure_hook(int, _integer)
    conv.register_structure_hook(float, _number)
    conv.register_structure_hook(bool, _boolean)
    conv.register_structure_hook(str, _text)
    conv.register_structure_hook(Path, _path)
    conv.register_structure_hook_func(_is_choice, _choice)
    conv.register_structure_hook_factory(attrs.has, lambda cls: _record(conv, cls))
    return conv
