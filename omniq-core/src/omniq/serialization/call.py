"""Encodes the arguments of one call, and names the argument that cannot be encoded."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from omniq.errors import SerializationError
from omniq.serialization.refusal import ValueRefusedError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from omniq.serialization.serializer import Serializer

__all__ = ["decode_call", "encode_call"]


def encode_call(
    serializer: Serializer, func_path: str, args: Sequence[object], kwargs: Mapping[str, object]
) -> tuple[bytes, bytes]:
    """Encode positional arguments as a list and keyword arguments as a dict.

    Args:
        serializer: Encodes both.
        func_path: The function's name, for the error message.
        args: Positional arguments.
        kwargs: Keyword arguments.

    Raises:
        SerializationError: An argument cannot be encoded; the message names it, the path inside it, and the remedy.
    """
    try:
        return serializer.dumps(args if type(args) is list else list(args)), serializer.dumps(
            kwargs if type(kwargs) is dict else dict(kwargs)
        )
    except SerializationError as error:
        named = _named(serializer, func_path, args, kwargs)
        if named is None:
            raise
        raise named from error


def _named(
    serializer: Serializer, func_path: str, args: Sequence[object], kwargs: Mapping[str, object]
) -> SerializationError | None:
    """Find the first argument that is refused on its own."""
    named = [(f"argument {i + 1} (position {i})", f"args[{i}]", value) for i, value in enumerate(args)]
    named += [(f"keyword argument {key!r}", f"kwargs[{key!r}]", value) for key, value in kwargs.items()]
    for title, root, value in named:
        refusal = _refusal(lambda value=value: serializer.dumps(value))  # type: ignore[misc]
        if refusal is not None:
            if isinstance(refusal, ValueRefusedError):
                refusal.root = root
            msg = f"{func_path}: {title} cannot be serialized by the {serializer.name} serializer: {refusal}"
            return SerializationError(msg)
    return None


def _refusal(attempt: Callable[[], object]) -> SerializationError | None:
    try:
        attempt()
    except SerializationError as error:
        return error
    return None


def decode_call(serializer: Serializer, args: bytes, kwargs: bytes) -> tuple[tuple[object, ...], dict[str, object]]:
    """Decode what `encode_call` wrote.

    Raises:
        SerializationError: The bytes are damaged, name a type that is not known here, or are not those of a call.
    """
    positional, keyword = serializer.loads(args), serializer.loads(kwargs)
    if type(positional) is not list or type(keyword) is not dict or not all(type(key) is str for key in keyword):
        msg = (
            f"not a call: args must be a list and kwargs a dict with text keys, not {type(positional).__name__} and "
            f"{type(keyword).__name__}. Was the task enqueued by another program?"
        )
        raise SerializationError(msg)
    return tuple(positional), cast("dict[str, object]", keyword)
