"""One short program for every edge of a task's life, spliced into random programs and also run alone.

Random operations hardly ever line up to "claimed, lease ran out, claimed by another, settled by the first". Each
template does such a chain on the tasks `t` and `u` of the queue `q`, and names what it must have seen.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import attrs

from omniq_conformance.programs.program import Op, op

__all__ = ["TEMPLATES", "Template", "template"]

LEASE = 10

Build = Callable[[str, str, str], Sequence[Op]]
"""Makes the operations for two task ids and a queue."""


@attrs.frozen
class Template:
    """A chain of operations.

    Attributes:
        id: The case that runs it alone.
        title: What is guaranteed.
        build: Makes the operations for two task ids and a queue.
        sees: What must be seen when it runs alone.
    """

    id: str
    title: str
    build: Build
    sees: frozenset[str]


TEMPLATES: dict[str, Template] = {}


def template(id: str, *sees: str) -> Callable[[Build], Build]:
    """Register a template under a case id, with what it must have seen when it ran alone."""

    def register(build: Build) -> Build:
        title = (build.__doc__ or build.__name__).partition("\n")[0]
        TEMPLATES[id] = Template(id, title, build, frozenset(sees))
        return build

    return register


def put(id: str, queue: str, **fields: Any) -> Op:
    """Enqueue one task."""
    return op("enqueue", specs=[{"id": id, "queue": queue, **fields}])


def claim(queue: str, limit: int = 50, worker: str = "w0", lease: int = LEASE) -> Op:
    """Claim from one queue."""
    return op("claim", queues=[queue], limit=limit, worker=worker, lease=lease)


def to(*ids: str, delta: int = 0) -> Op:
    """Move the clock to the next deadline of these tasks, or past it."""
    return op("clock", of=list(ids), delta=delta)


def token(id: str, back: int = 0, forgery: str = "") -> list[Any]:
    """Name the latest token of a task, or an earlier one."""
    return [id, back, forgery]


def complete(id: str, back: int = 0) -> Op:
    """Complete with a token of a task."""
    return op("complete", tokens=[token(id, back)])


def fail(id: str, retry: int | None = None, back: int = 0) -> Op:
    """Fail with a token of a task."""
    return op("fail", tokens=[token(id, back)], retry=retry)


def release(id: str, delay: int = 0, back: int = 0) -> Op:
    """Release with a token of a task."""
    return op("release", tokens=[token(id, back)], delay=delay)


def beat(id: str, back: int = 0, lease: int = LEASE) -> Op:
    """Send a heartbeat with a token of a task."""
    return op("heartbeat", tokens=[token(id, back)], lease=lease)


def recover(queue: str) -> Op:
    """Recover one queue."""
    return op("recover", queues=[queue])


def cancel(id: str) -> Op:
    """Cancel one task."""
    return op("cancel", ids=[id])


def redrive(id: str) -> Op:
    """Redrive one task."""
    return op("redrive", ids=[id])


def acknowledge_all() -> Op:
    """Empty the outbox."""
    return op("ack", skip=0, number=1000)


def purge(age: int = -1, limit: int = 100, **more: Any) -> Op:
    """Purge ended tasks of every state."""
    return op("purge", states=["COMPLETED", "FAILED", "CANCELLED"], age=age, limit=limit, **more)


def settle_all(id: str, back: int) -> list[Op]:
    """Try every settling with one token."""
    return [beat(id, back), complete(id, back), fail(id, 5, back), fail(id, None, back), release(id, 0, back)]
