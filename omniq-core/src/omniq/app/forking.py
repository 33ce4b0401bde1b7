"""Lets applications go on in the child of a fork, with connections of its own."""

from __future__ import annotations

import os
import weakref
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["after_fork", "leave_to_parent"]

_callbacks: set[weakref.WeakMethod[Callable[[], None]]] = set()
_left: list[object] = []


def after_fork(forget: Callable[[], None]) -> None:
    """Call a bound method in the child of every fork, as long as its object lives.

    It lets go of what the parent has open, without touching it.
    """
    _callbacks.add(weakref.WeakMethod(forget, _callbacks.discard))


def leave_to_parent(*objects: object) -> None:
    """Keep objects alive for as long as the process lives: finalizing them would act on the parent's connections."""
    _left.extend(objects)


def _in_child() -> None:
    for reference in list(_callbacks):
        forget = reference()
        if forget is not None:
            forget()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_in_child)
