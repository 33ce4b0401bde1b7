"""Lets applications go on in the child of a fork, with connections of its own."""

from __future__ import annotations

import os
import weakref
from typing import Protocol

__all__ = ["leave_to_parent", "watch"]


class Forkable(Protocol):
    """What holds something that must not be shared with a parent process."""

    def forget(self) -> None:
        """Let go of what the parent has open, without touching it."""
        ...


_watched: weakref.WeakSet[Forkable] = weakref.WeakSet()
_left: list[object] = []


def watch(owner: Forkable) -> None:
    """Call `forget` in the child of every fork, as long as the owner lives."""
    _watched.add(owner)


def leave_to_parent(*objects: object) -> None:
    """Keep objects alive for as long as the process lives: finalizing them would act on the parent's connections."""
    _left.extend(objects)


def _in_child() -> None:
    for owner in list(_watched):
        owner.forget()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_in_child)
