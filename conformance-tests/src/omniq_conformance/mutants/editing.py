"""Functions with some of their source replaced, and texts with some of their words."""

from __future__ import annotations
import __future__

import inspect
import textwrap
from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING, Any, TypeVar, cast

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

__all__ = ["EditError", "edited", "reworded"]

F = TypeVar("F", bound="Callable[..., Any]")


class EditError(ValueError):
    """What a mutant replaces is not there, or more than once: the mutant has to follow a change of the code."""


def edited(function: F, edits: Iterable[tuple[str, str]]) -> F:
    """Return the function as it would be with each old text in its source replaced by the new one.

    Raises:
        EditError: An old text is not there, or more than once.
    """
    plain = inspect.unwrap(function)
    source = _source(plain)
    for old, new in edits:
        source = _replaced(source, old, new)
    made: dict[str, Any] = {}
    flags = __future__.annotations.compiler_flag
    code = compile(source, f"<mutant of {plain.__qualname__}>", "exec", flags=flags, dont_inherit=True)
    exec(code, plain.__globals__, made)  # noqa: S102 - the backend's own source
    return cast("F", made[plain.__name__])


@cache
def _source(function: Callable[..., Any]) -> str:
    return textwrap.dedent(inspect.getsource(function))


def reworded(original: Any, old: str, new: str) -> Any:
    """Return a text, or a table with exactly one text that has it, with the old words replaced.

    Raises:
        EditError: The old words are not there, or more than once.
    """
    if isinstance(original, Mapping):
        having = [key for key, text in original.items() if old in text]
        if len(having) != 1:
            msg = f"{old!r} is in {len(having)} of the texts instead of in one."
            raise EditError(msg)
        return {**original, having[0]: _replaced(original[having[0]], old, new)}
    return _replaced(original, old, new)


def _replaced(text: str, old: str, new: str) -> str:
    if (found := text.count(old)) != 1:
        msg = f"{old!r} is there {found} times instead of once in:\n{text}"
        raise EditError(msg)
    return text.replace(old, new)
