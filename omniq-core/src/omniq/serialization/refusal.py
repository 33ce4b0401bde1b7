"""The error of a value that cannot be encoded, which knows where in the value it happened."""

from __future__ import annotations

from omniq.errors import SerializationError

__all__ = ["REMEDY", "ValueRefusedError", "type_name"]

REMEDY = (
    "Pass plain data instead (numbers, text, bytes, lists, dicts, dates, ids), make the class known with "
    "omniq.serialization.register_type(), or choose the pickle serializer."
)
_LONG_PATH = 160


class ValueRefusedError(SerializationError):
    """A value was refused.

    Attributes:
        root: How the outermost value is called, such as `value` or `args[0]`.
        path: The way from there to the offending part, such as `['x'][3]`.
        reason: What is wrong with it and what to do.
    """

    def __init__(self, reason: str, *, path: str = "", root: str = "value") -> None:
        super().__init__(reason)
        self.reason = reason
        self.path = path
        self.root = root

    def under(self, key: object) -> ValueRefusedError:
        """Note that the offending part was found under a key or an index, and return the error itself."""
        try:
            step = repr(key)
        except Exception:  # noqa: BLE001 - a user's __repr__ must not hide which value was refused
            step = "?"
        self.path = f"[{step}]{self.path}"
        return self

    def __str__(self) -> str:
        path = self.path if len(self.path) <= _LONG_PATH else f"{self.path[: _LONG_PATH // 2]} ... {self.path[-40:]}"
        return f"{self.root}{path} {self.reason}"


def type_name(cls: type) -> str:
    """Return the name under which people know a class: `list`, `myapp.models.Order`."""
    return cls.__qualname__ if cls.__module__ == "builtins" else f"{cls.__module__}.{cls.__qualname__}"
